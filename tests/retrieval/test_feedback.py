"""Pseudo-relevance feedback on examples that can be computed by hand."""

from __future__ import annotations

import numpy as np
import pytest

from reknit.retrieval.feedback import Feedback, expanded_words, moved_vector


def test_words_of_the_hits_join_those_of_the_query():
    hits = [["wing", "drag", "drag", "flow"], ["flow", "heat"]]
    weights = expanded_words(["wing"], hits, Feedback(words=2, words_share=0.5))
    # In the hits: drag 1/4, wing 1/8, flow 1/8 + 1/4, heat 1/4; flow first, then drag before heat by the alphabet.
    assert weights == pytest.approx({"wing": 0.5, "flow": 0.5 * 3 / 5, "drag": 0.5 * 2 / 5})
    assert expanded_words(["wing", "wing"], hits, Feedback(words_share=0.0, words=1))["wing"] == 1.0


def test_without_hits_the_query_stays():
    assert expanded_words(["wing"], [], Feedback(words_share=0.5)) == {"wing": 0.5}
    assert expanded_words([], [[]], Feedback()) == {}
    vector = np.array([0.0, 2.0], dtype=np.float32)
    assert moved_vector(vector, np.zeros((0, 2), dtype=np.float32), Feedback()).tolist() == [0.0, 2.0]
    assert moved_vector(np.zeros(2, dtype=np.float32), np.ones((1, 2), dtype=np.float32), Feedback()).tolist() == [0, 0]


def test_a_vector_moves_towards_its_hits_and_keeps_its_length():
    hits = np.array([[3.0, 0.0], [1.0, 0.0]], dtype=np.float32)
    moved = moved_vector(np.array([0.0, 2.0], dtype=np.float32), hits, Feedback(vector_weight=1.0))
    assert moved == pytest.approx(np.array([2**0.5, 2**0.5]))
