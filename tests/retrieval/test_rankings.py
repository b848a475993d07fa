"""Dense runs, fused runs and random runs beside naive references."""

from __future__ import annotations

from statistics import fmean, pstdev

import numpy as np
import pytest
from evaluation_samples import topic_collection
from hypothesis import given, settings
from hypothesis import strategies as st

from reknit.errors import ReknitError
from reknit.retrieval import dense
from reknit.retrieval.dense import dense_rankings
from reknit.retrieval.fusion import fuse, random_rankings, rooted
from reknit.retrieval.ranking import ranking, top_places


def naive_dense(ids, documents, query, top):
    """Sort everything by score, then id."""
    scores = {identifier: float(np.dot(row, query)) for identifier, row in zip(ids, documents, strict=True)}
    return sorted(ids, key=lambda identifier: (-scores[identifier], identifier))[:top]


# Small whole numbers: exact in float32, and full of ties.
@settings(max_examples=60, deadline=None)
@given(st.integers(1, 30), st.integers(1, 5), st.integers(1, 40), st.integers(0, 1000))
def test_dense_run_equals_sorting_everything(documents, queries, top, seed):
    rng = np.random.default_rng(seed)
    ids = [f"d{number}" for number in rng.permutation(documents)]
    table = rng.integers(-2, 3, (documents, 3)).astype(np.float32)
    asked = rng.integers(-2, 3, (queries, 3)).astype(np.float32)
    run = dense_rankings(ids, table, [f"q{number}" for number in range(queries)], asked, top)
    for number in range(queries):
        assert list(run[f"q{number}"]) == naive_dense(ids, table, asked[number], top)


def test_dense_run_is_the_same_in_one_block_and_in_many(monkeypatch):
    rng = np.random.default_rng(0)
    ids, asked = [f"d{i:03}" for i in range(200)], [f"q{i}" for i in range(50)]
    table, queries = rng.normal(size=(200, 16)).astype(np.float32), rng.normal(size=(50, 16)).astype(np.float32)
    whole = dense_rankings(ids, table, asked, queries, 10)
    monkeypatch.setattr(dense, "SCORES_IN_MEMORY", 600)
    in_blocks = dense_rankings(ids, table, asked, queries, 10)
    assert list(in_blocks) == asked
    for query in asked:
        assert list(whole[query]) == list(in_blocks[query])
        assert whole[query] == pytest.approx(in_blocks[query], abs=1e-5)
    best = ids[int(np.argmax(table @ queries[7]))]
    assert next(iter(whole["q7"])) == best


def test_dense_run_leaves_the_callers_vectors_alone():
    table = np.arange(8, dtype=np.float64).reshape(4, 2)
    before = table.copy()
    dense_rankings(["d", "c", "b", "a"], table, ["q"], np.ones((1, 2)), 2)
    np.testing.assert_array_equal(table, before)


@pytest.mark.parametrize(
    ("documents", "queries", "message"),
    [
        (np.zeros((3, 4)), np.zeros((1, 4)), "one row for each text"),
        (np.zeros(2), np.zeros((1, 4)), "one row for each text"),
        (np.zeros((2, 4)), np.zeros((1, 5)), "same model"),
        (np.array([[1.0, np.nan], [0, 0]]), np.zeros((1, 2)), "NaN or infinity for 1 of 2 document texts"),
        (np.zeros((2, 2)), np.array([[np.inf, 0]]), "NaN or infinity for 1 of 1 query texts"),
    ],
)
def test_dense_run_refuses_vectors_that_do_not_fit(documents, queries, message):
    with pytest.raises(ReknitError, match=message):
        dense_rankings(["a", "b"], documents, ["q"], queries)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(-3, 3), min_size=1, max_size=20), st.integers(1, 25))
def test_top_places_equals_a_stable_sort(values, top):
    scores = np.array(values, dtype=np.float32)
    assert top_places(scores, top).tolist() == sorted(range(len(values)), key=lambda place: -values[place])[:top]


scores = st.dictionaries(st.sampled_from("abcdef"), st.tuples(st.integers(0, 9), st.integers(-3, 3)), max_size=6)


@settings(max_examples=80, deadline=None)
@given(st.dictionaries(st.sampled_from(["q1", "q2"]), scores), st.sampled_from([0.0, 0.3, 0.5, 1.0]))
def test_fusion_equals_a_loop(given_scores, weight):
    words, vectors = (
        {
            query: {document: float(pair[side]) for document, pair in found.items()}
            for query, found in given_scores.items()
        }
        for side in (0, 1)
    )
    fused = fuse([{query: rooted(found) for query, found in words.items()}, vectors], [1 - weight, weight])
    assert list(fused) == list(given_scores)
    for query, found in fused.items():
        roots = {document: score**0.5 for document, score in words[query].items()}
        expected = dict.fromkeys(found, 0.0)
        for side, factor in ((roots, 1 - weight), (vectors[query], weight)):
            spread = pstdev(side.values()) if side else 0.0
            for document, score in side.items():
                expected[document] += factor * (score - fmean(side.values())) / spread if spread > 1e-9 else 0.0
        assert found == pytest.approx(expected, abs=1e-9)
        assert list(found) == ranking(found)


def test_fusion_does_not_look_at_the_size_of_scores():
    words, small = {"q": {"a": 4.0, "b": 1.0, "c": 0.0}}, {"q": {"a": 0.2, "b": 0.4, "c": 0.3}}
    large = {"q": {document: 1e6 * score - 5 for document, score in small["q"].items()}}
    assert fuse([words, small], [0.6, 0.4])["q"] == pytest.approx(fuse([words, large], [0.6, 0.4])["q"])


def test_fusion_refuses_sides_that_do_not_match():
    with pytest.raises(ReknitError, match="different queries"):
        fuse([{"q": {"a": 1.0}}, {}], [0.5, 0.5])
    with pytest.raises(ReknitError, match="different documents for query 'q'"):
        fuse([{"q": {"a": 1.0}}, {"q": {"b": 1.0}}], [0.5, 0.5])
    for sides, weights in (([], []), ([{"q": {"a": 1.0}}], [0.5, 0.5])):
        with pytest.raises(ReknitError, match="one weight for each side"):
            fuse(sides, weights)


def test_random_run_is_fair_repeatable_and_without_repeats():
    collection = topic_collection(queries=400, documents=20)
    run = random_rankings(collection, seed=3, top=5)
    assert run == random_rankings(collection, seed=3, top=5)
    assert run != random_rankings(collection, seed=4, top=5)
    assert all(len(found) == 5 for found in run.values())
    first = [next(iter(found)) for found in run.values()]
    counts = [first.count(document) for document in collection.documents]
    assert min(counts) >= 5
    assert max(counts) <= 45  # 20 expected; far beyond chance otherwise
    assert all(len(found) == 20 for found in random_rankings(collection, seed=0, top=100).values())
