"""Query expansion against a loop over every word and document, and what it must leave alone."""

from __future__ import annotations

import copy
import json
import math
import pickle
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reknit.errors import ReknitError
from reknit.models.query_expansion import QueryExpansion

WORDS = ["amber", "birch", "cedar", "dune", "ember", "fjord"]
texts = st.lists(st.sampled_from(WORDS), max_size=6).map(" ".join)


def unit(vector: np.ndarray) -> np.ndarray:
    length = np.linalg.norm(vector)
    return vector / length if length else vector


def holds(words: list[str], term: list[str]) -> bool:
    return any(words[place : place + len(term)] == term for place in range(len(words)))


def by_a_loop(documents: list[str], vectors: np.ndarray, query: str, vector: np.ndarray, weight: float) -> np.ndarray:
    rows = np.array([unit(row) for row in vectors])
    pulls = [np.zeros(vectors.shape[1])]
    words = query.split()
    for term in [[word] for word in words] + [list(pair) for pair in pairwise(words)]:
        holding = [row for row, text in zip(rows, documents, strict=True) if holds(text.split(), term)]
        if len(holding) >= len(term):
            rarity = math.log(1 + (len(documents) - len(holding) + 0.5) / (len(holding) + 0.5))
            mean = np.mean([row - rows.mean(axis=0) for row in holding], axis=0)
            if np.linalg.norm(mean) > 1e-4:
                pulls.append(unit(mean) * rarity**1.5 / len(term))
    pull = np.sum(pulls, axis=0)
    if np.linalg.norm(pull) <= 0.05 * np.linalg.norm(pulls, axis=1).sum():
        return vector
    return np.linalg.norm(vector) * unit(unit(vector) + weight * unit(pull))


@settings(max_examples=60, deadline=None)
@given(st.lists(texts, min_size=1, max_size=8), st.lists(texts, min_size=1, max_size=4), st.integers(0, 1000))
def test_it_equals_a_loop(documents: list[str], queries: list[str], seed: int) -> None:
    rng = np.random.default_rng(seed)
    vectors, asked = (rng.normal(size=(count, 5)).astype(np.float32) for count in (len(documents), len(queries)))
    expanded = QueryExpansion.of(documents, vectors, weight=0.7).expand(queries, asked)
    for query, before, after in zip(queries, asked, expanded, strict=True):
        expected = by_a_loop(documents, vectors, query, before, 0.7)
        np.testing.assert_allclose(after, expected, atol=2e-2)  # the table is int8, and words may cancel out


def planted() -> tuple[QueryExpansion, np.ndarray]:
    documents = [f"common {word}s {word}" for word in WORDS]
    return QueryExpansion.of(documents, np.eye(6, dtype=np.float32), weight=0.5), np.full((1, 6), 2.0, np.float32)


def test_a_word_pulls_towards_its_documents_and_lengths_stay() -> None:
    expansion, plain = planted()
    expanded = expansion.expand(["the Embers?"], plain)  # a stop word, an ending and a mark
    assert expanded.argmax() == WORDS.index("ember")
    assert np.linalg.norm(expanded) == pytest.approx(np.linalg.norm(plain))
    assert plain.tolist() == [[2.0] * 6]


def test_words_that_pull_apart_change_nothing() -> None:
    vectors = np.repeat(np.eye(2, 3, dtype=np.float32), 2, axis=0)
    expansion = QueryExpansion.of(["amber", "amber", "birch", "birch"], vectors)
    asked = np.ones((1, 3), np.float32)
    np.testing.assert_array_equal(expansion.expand(["amber birch"], asked), asked)
    assert expansion.expand(["amber"], asked).argmax() == 0


def test_what_it_does_not_know_changes_nothing() -> None:
    expansion, plain = planted()
    for text in ("", "unheard of", "common"):  # a word of all documents stands for nothing
        np.testing.assert_allclose(expansion.expand([text], plain), plain, atol=1e-3)
    assert expansion.with_weight(0.0).expand(["ember"], plain) is plain
    zeros = np.zeros((1, 6), np.float32)
    assert not expansion.expand(["ember"], zeros).any()


def test_fewer_coordinates_use_the_first_of_the_table() -> None:
    expansion, plain = planted()
    assert expansion.expand(["cedar"], plain[:, :4]).argmax() == WORDS.index("cedar")


def test_the_most_frequent_words_and_pairs_are_kept() -> None:
    documents = ["amber birch cedar", "amber birch cedar", "amber birch", "amber"]
    assert list(QueryExpansion.of(documents, np.eye(4), most=2).terms) == [
        "amber",
        "birch",
        "amber birch",
        "birch cedar",
    ]
    assert list(QueryExpansion.of(documents, np.eye(4), most=1).terms) == ["amber", "amber birch"]
    assert "cedar dune" not in QueryExpansion.of([*documents, "cedar dune"], np.eye(5)).terms


def test_of_a_sample_only_what_several_documents_hold_is_kept() -> None:
    documents = ["amber birch", "amber birch", "amber cedar", "cedar dune"]
    vectors = np.eye(4, dtype=np.float32)
    assert set(QueryExpansion.of(documents, vectors, least_holders=2).terms) == {
        "amber",
        "birch",
        "cedar",
        "amber birch",
    }
    assert set(QueryExpansion.of(documents, vectors, least_holders=3).terms) == {"amber"}


def test_two_words_together_pull_where_each_alone_does_not() -> None:
    documents = ["amber birch", "amber birch", "birch amber", "birch amber"]
    vectors = np.repeat(np.eye(2, 3, dtype=np.float32), 2, axis=0)
    expansion, asked = QueryExpansion.of(documents, vectors), np.ones((1, 3), np.float32)
    np.testing.assert_array_equal(expansion.expand(["amber"], asked), asked)
    assert expansion.expand(["amber birch"], asked).argmax() == 0
    assert expansion.expand(["birch amber"], asked).argmax() == 1


def test_a_saved_expansion_is_the_same(tmp_path: Path) -> None:
    expansion, plain = planted()
    expansion.save(tmp_path)
    loaded = QueryExpansion.load(tmp_path)
    assert (loaded.terms, loaded.weight) == (expansion.terms, 0.5)
    np.testing.assert_array_equal(loaded.expand(["ember dune"], plain), expansion.expand(["ember dune"], plain))


def test_it_can_be_copied_and_pickled() -> None:
    expansion, plain = planted()
    expected = expansion.expand(["ember dunes"], plain)
    for copied in (copy.deepcopy(expansion), pickle.loads(pickle.dumps(expansion))):
        np.testing.assert_array_equal(copied.expand(["ember dunes"], plain), expected)


def test_threads_may_expand_at_once() -> None:
    expansion, plain = planted()
    asked = [[f"{word}s {other}ed"] for word in WORDS for other in WORDS] * 20
    expected = [expansion.expand(texts, plain) for texts in asked]
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda texts: expansion.expand(texts, plain), asked))
    np.testing.assert_array_equal(np.array(found), np.array(expected))


@pytest.mark.parametrize(
    "damage", ["no table", "half a table", "no weight", "more words", "no such language", "not json"]
)
def test_a_damaged_folder_is_told_in_one_line(damage: str, tmp_path: Path) -> None:
    expansion, _ = planted()
    expansion.save(tmp_path)
    table, settings_file = tmp_path / "terms.safetensors", tmp_path / "config.json"
    stored = json.loads(settings_file.read_text())
    if damage == "no table":
        table.unlink()
    elif damage == "half a table":
        table.write_bytes(table.read_bytes()[:-40])
    elif damage == "no weight":
        settings_file.write_text(json.dumps({"terms": stored["terms"]}))
    elif damage == "no such language":
        settings_file.write_text(json.dumps(stored | {"language": "klingon"}))
    elif damage == "more words":
        settings_file.write_text(json.dumps(stored | {"terms": [*stored["terms"], "one"]}))
    else:
        settings_file.write_text("{")
    with pytest.raises(ReknitError) as told:
        QueryExpansion.load(tmp_path)
    assert str(tmp_path) in str(told.value)
    assert "\n" not in str(told.value)
