"""Vectors of pieces, and rows from the nearest ones, against loops."""

from __future__ import annotations

from typing import Literal

import naive_vocabulary as naive
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_corpus import small_documents

from reknit.tokenizers.tokenizer import train_tokenizer
from reknit.vocabulary.subword_vectors import subword_vectors
from reknit.vocabulary.wechsel import nearest_rows
from reknit.vocabulary.word_vectors import WordVectorSpec, train_word_vectors

TEXTS = [document["text"] for document in small_documents(30)]


@pytest.mark.parametrize("family", ["bert", "modernbert"])
@pytest.mark.parametrize("lowercase", [True, False])
def test_vectors_of_pieces(family: Literal["bert", "modernbert"], lowercase: bool) -> None:
    tokenizer = train_tokenizer(TEXTS[:10], 300, family=family, lowercase=lowercase)
    words = train_word_vectors(TEXTS, WordVectorSpec(dim=8), seed=0)
    found = subword_vectors(tokenizer, words)
    assert np.allclose(found, naive.subword_vectors(tokenizer, words))
    assert not found[tokenizer.is_special].any()
    assert found.any(axis=1).sum() > 20


@settings(deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 12), st.floats(0.02, 2.0))
def test_rows_from_the_nearest(seed: int, neighbours: int, temperature: float) -> None:
    rng = np.random.default_rng(seed)
    rows, old, new = (rng.standard_normal(shape) for shape in ((9, 3), (9, 4), (7, 4)))
    old[rng.random(9) < 0.3] = 0.0
    new[rng.random(7) < 0.3] = 0.0
    made, could = nearest_rows(rows, old, new, neighbours, temperature)
    expected, possible = naive.nearest_rows(rows, old, new, neighbours, temperature)
    assert np.array_equal(could, possible)
    assert np.allclose(made, expected)
