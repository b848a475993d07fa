"""Static word vectors: the counts and their weights against loops, and what the vectors must be."""

from __future__ import annotations

import naive_vocabulary as naive
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix

from reknit.errors import ReknitError
from reknit.runs.config import with_overrides
from reknit.vocabulary.wechsel import Wechsel
from reknit.vocabulary.word_vectors import (
    WordVectorSpec,
    count_neighbours,
    positive_information,
    split_words,
    train_word_vectors,
)

WORDS = 6
TEXTS = st.lists(st.lists(st.integers(-1, WORDS - 1), max_size=12), min_size=1, max_size=6)


@settings(deadline=None)
@given(TEXTS, st.integers(1, 4))
def test_counts_of_neighbours(texts: list[list[int]], window: int) -> None:
    found = count_neighbours([np.array(text, dtype=np.int64) for text in texts], WORDS, window)
    assert np.allclose(found.toarray(), naive.count_neighbours(texts, WORDS, window))


@settings(deadline=None)
@given(TEXTS, st.integers(1, WORDS))
def test_positive_information(texts: list[list[int]], contexts: int) -> None:
    near = naive.count_neighbours(texts, WORDS, 2)[:, :contexts]
    assert np.allclose(positive_information(csr_matrix(near)).toarray(), naive.positive_information(near))


def test_words_and_marks() -> None:
    assert split_words("Größe: 3.5 naïve_x, 東京!") == [
        "Größe",
        ":",
        "3",
        ".",
        "5",
        "naïve",
        "_",
        "x",
        ",",
        "東京",
        "!",
    ]


def test_vectors_have_length_one_and_frequent_words_come_first() -> None:
    texts = ["the Cat sat on the mat", "The cat sat on a rug", "the dog sat on the mat", "a dog ran on the rug"]
    found = train_word_vectors(texts, WordVectorSpec(dim=3, window=2, min_count=2), seed=0)
    assert found.words[0] == "the"
    assert set(found.words[: found.shaping]) == {"the", "cat", "sat", "on", "mat", "a", "rug", "dog"}
    assert found.words[found.shaping :] == ("ran",)
    assert found.written == {
        "Cat": 1,
        "The": 1,
        "a": 2,
        "cat": 1,
        "dog": 2,
        "mat": 2,
        "on": 4,
        "ran": 1,
        "rug": 2,
        "sat": 3,
        "the": 5,
    }
    assert np.allclose(np.linalg.norm(found.vectors, axis=1), 1.0)


def test_a_rare_word_is_placed_by_its_neighbours() -> None:
    texts = [f"a{number % 3} b{number % 4} a{number % 5}" for number in range(120)]
    # A word that stands where another one stands, once.
    found = train_word_vectors([*texts, "rare", "rare2 b1 a1"], WordVectorSpec(dim=4, min_count=3), seed=0)
    assert {"rare", "rare2"} == set(found.words[found.shaping :])
    assert not found.vectors[found.row_of["rare"]].any(), "nothing is near it"
    twin = naive.positive_information(
        naive.count_neighbours(
            [[found.row_of[word] for word in split_words(text)] for text in [*texts, "rare2 b1 a1"]],
            len(found.words),
            5,
        )[:, : found.shaping]
    )
    _, sizes, right = np.linalg.svd(twin[: found.shaping])
    placed = twin[found.row_of["rare2"]] @ right[:4].T / np.sqrt(sizes[:4])
    others = twin[: found.shaping] @ right[:4].T / np.sqrt(sizes[:4])
    expected = others @ placed / np.linalg.norm(others, axis=1) / np.linalg.norm(placed)
    assert np.allclose(found.vectors[: found.shaping] @ found.vectors[found.row_of["rare2"]], expected, atol=1e-6)


def test_words_in_like_places_have_like_vectors() -> None:
    rng = np.random.default_rng(0)
    animals, metals = ["cat", "dog", "cow"], ["iron", "zinc", "lead"]
    texts = [
        f"{rng.choice(near)} {rng.choice(kind)} {rng.choice(near)}"
        for kind, near in ((animals, ["eats", "runs", "sleeps"]), (metals, ["melts", "rusts", "shines"]))
        for _ in range(200)
    ]
    found = train_word_vectors(texts, WordVectorSpec(dim=4), seed=0)
    vectors = {word: found.vectors[row] for word, row in found.row_of.items()}
    assert min(vectors["cat"] @ vectors[word] for word in animals) > max(
        vectors["cat"] @ vectors[word] for word in metals
    )


def test_the_same_seed_gives_the_same_vectors() -> None:
    texts = [f"w{number % 7} w{number % 5} w{number % 3}" for number in range(60)]
    one, other = (train_word_vectors(texts, WordVectorSpec(dim=3), seed=4) for _ in range(2))
    assert one.words == other.words
    assert np.array_equal(one.vectors, other.vectors)


def test_texts_without_a_repeated_word() -> None:
    with pytest.raises(ReknitError, match="no word occurs 2 times in the 3 words"):
        train_word_vectors(["once only here"], WordVectorSpec(), seed=0)


@pytest.mark.parametrize("name", ["dim", "window", "min_count", "max_words"])
def test_settings_out_of_range(name: str) -> None:
    with pytest.raises(ReknitError, match="must be above 0"):
        with_overrides(Wechsel(), (f"vectors.{name}=0",))
