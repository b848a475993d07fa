"""What search systems find, against a loop over every query and document."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reknit.data.retrieval_set import LEFT_OUT, RetrievalSet
from reknit.errors import ReknitError
from reknit.retrieval import rank_systems as module
from reknit.retrieval.bm25 import BM25
from reknit.retrieval.feedback import Feedback, expanded_words, moved_vector
from reknit.retrieval.fusion import fuse, rooted
from reknit.retrieval.rank_systems import rank_systems
from reknit.retrieval.ranking import ranking
from reknit.retrieval.sides import VectorSide, WordSide
from reknit.retrieval.system import SearchSystem

WORDS = ["amber", "birch", "cedar", "dune", "ember"]
texts = st.lists(st.sampled_from(WORDS), max_size=6).map(" ".join)
collections = st.tuples(
    st.dictionaries(st.text("abcxyz", min_size=1, max_size=3), texts, min_size=1, max_size=12),
    st.lists(texts, min_size=1, max_size=4),
)


def made(documents, asked, rng):
    """A collection, two tables of vectors in its order, and its sides."""
    queries = {f"q{number}": text for number, text in enumerate(asked)}
    left_out = {name: str(rng.choice(list(documents))) for name in queries if rng.random() < 0.5}
    qrels = {name: {document: LEFT_OUT} for name, document in left_out.items()}
    collection = RetrievalSet("made", documents, queries, qrels)
    # Whole numbers: exact in float32, and full of ties.
    tables = {
        name: tuple(rng.integers(-3, 4, (count, 3)).astype(np.float32) for count in (len(documents), len(queries)))
        for name in ("one", "two")
    }
    sides = {"bm25": WordSide(collection, BM25(documents))}
    sides |= {name: VectorSide(collection, *table) for name, table in tables.items()}
    return collection, tables, left_out, sides


def naive(collection, weights, of_words, of_vectors, left_out, top):
    """Candidates of each side, scored by all of them and fused. of_words: {document: BM25}. of_vectors: the same for
    each model."""
    found = {*ranking(of_words)[:top]} if "bm25" in weights else set()
    for name in weights:
        if name != "bm25":
            found.update(ranking(of_vectors[name])[:top])
    found -= {left_out}
    sides = [
        rooted({document: of_words.get(document, 0.0) for document in found})
        if name == "bm25"
        else {document: of_vectors[name][document] for document in found}
        for name in weights
    ]
    return fuse([{"": side} for side in sides], list(weights.values()))[""]


@settings(max_examples=80, deadline=None)
@given(
    collections,
    st.sampled_from(
        [{"bm25": 1.0}, {"one": 1.0}, {"bm25": 0.25, "one": 0.75}, {"bm25": 0.5, "one": 0.25, "two": 0.25}]
    ),
    st.integers(1, 5),
    st.integers(0, 1000),
)
def test_systems_find_what_a_loop_finds(collection, weights, top, seed):
    collection, tables, left_out, sides = made(*collection, np.random.default_rng(seed))
    bm25 = BM25(collection.documents)
    found = rank_systems(collection, sides, {"system": SearchSystem(weights)}, top)["system"]
    assert list(found) == list(collection.queries)
    for number, (name, text) in enumerate(collection.queries.items()):
        vectors = {
            model: dict(zip(collection.documents, (table @ queries[number]).tolist(), strict=True))
            for model, (table, queries) in tables.items()
        }
        of_words = bm25.search({"q": text}, len(collection.documents))["q"]
        expected = naive(collection, weights, of_words, vectors, left_out.get(name), top)
        assert found[name] == pytest.approx(expected, abs=1e-6)
        assert list(found[name]) == ranking(found[name])


@settings(max_examples=40, deadline=None)
@given(collections, st.integers(0, 1000))
def test_feedback_is_a_second_search(collection, seed):
    collection, tables, left_out, sides = made(*collection, np.random.default_rng(seed))
    bm25, feedback = BM25(collection.documents), Feedback(hits=2, words=3)
    weights = {"bm25": 0.5, "one": 0.5}
    systems = {"first": SearchSystem(weights), "second": SearchSystem(weights, feedback)}
    found = rank_systems(collection, sides, systems, 5)
    documents, queries = tables["one"]
    for number, (name, text) in enumerate(collection.queries.items()):
        hits = list(found["first"][name])[:2]
        weighted = expanded_words(bm25.words(text), [bm25.words(collection.documents[hit]) for hit in hits], feedback)
        by_hand = dict.fromkeys(collection.documents, 0.0)
        for word, weight in weighted.items():
            for document, score in bm25.search({"q": word}, len(by_hand))["q"].items():
                by_hand[document] += weight * score
        of_words = {document: score for document, score in by_hand.items() if score > 0}
        places = [list(collection.documents).index(hit) for hit in hits]
        moved = moved_vector(queries[number], documents[places], feedback)
        vectors = {"one": dict(zip(collection.documents, (documents @ moved).tolist(), strict=True))}
        expected = naive(collection, weights, of_words, vectors, left_out.get(name), 5)
        assert found["second"][name] == pytest.approx(expected, abs=1e-3)


def test_queries_are_scored_a_few_at_a_time(monkeypatch):
    rng = np.random.default_rng(0)
    documents = {f"d{n}": " ".join(rng.choice(WORDS, 4)) for n in range(30)}
    collection, _, _, sides = made(documents, [WORDS[n % 5] for n in range(7)], rng)
    systems = {"words": SearchSystem({"bm25": 1.0}), "all": SearchSystem.of(["one", "two"], 0.6, Feedback())}
    whole = rank_systems(collection, sides, systems, 5)
    monkeypatch.setattr(module, "_SCORES_AT_ONCE", 180)
    parts = rank_systems(collection, sides, systems, 5)
    for name in systems:
        assert list(whole[name]) == list(parts[name]) == list(collection.queries)
        assert all(whole[name][query] == pytest.approx(parts[name][query]) for query in whole[name])


def test_a_system_of_an_unknown_side_is_refused():
    collection, _, _, sides = made({"a": "amber"}, ["amber"], np.random.default_rng(0))
    with pytest.raises(ReknitError, match="searches by \\['three'\\]"):
        rank_systems(collection, sides, {"system": SearchSystem({"three": 1.0})})


def test_weights():
    assert SearchSystem.of(["one", "two"], 0.6).weights == pytest.approx({"bm25": 0.4, "one": 0.3, "two": 0.3})
    assert SearchSystem.of(["one"]).weights == {"one": 1.0}
    assert not SearchSystem.of(["one"]).is_hybrid
    assert not SearchSystem({"bm25": 1.0}).is_hybrid
    moved = SearchSystem({"bm25": 0.5, "one": 0.4, "two": 0.1}).at(0.2)
    assert moved.weights == pytest.approx({"bm25": 0.8, "one": 0.16, "two": 0.04})
    assert moved.vector_weight == pytest.approx(0.2)
    assert moved.models == ("one", "two")
    assert SearchSystem.of(["one"], 0.0).at(0.5).weights == {"bm25": 0.5, "one": 0.5}
    for weights in ({}, {"one": 0.0}, {"one": -0.1, "bm25": 1.1}):
        with pytest.raises(ReknitError, match="give each side one from 0 to 1"):
            SearchSystem(weights)


def test_sides_with_the_same_documents_share_them():
    collection, tables, _, sides = made({"a": "amber", "b": "birch"}, ["amber"], np.random.default_rng(0))
    documents, queries = tables["one"]
    vectors = [sides["one"], sides["two"]]
    other = VectorSide(collection, documents.copy(), queries + 1, vectors)
    assert np.shares_memory(other._table, sides["one"]._table)
    assert not np.shares_memory(VectorSide(collection, documents + 1, queries, vectors)._table, sides["one"]._table)
    np.testing.assert_array_equal(other.scores(slice(0, 1)), (queries + 1) @ documents.T)
