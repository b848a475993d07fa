"""What a model has encoded it is not asked again."""

from __future__ import annotations

import numpy as np
import pytest

from reknit.models.encode_texts import cached


class Counting:
    """Vectors by length and kind; keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __call__(self, texts: list[str], kind: str) -> np.ndarray:
        self.asked += texts
        return np.array([[len(text), kind == "query"] for text in texts], dtype=np.float32).reshape(len(texts), 2)


@pytest.mark.parametrize("megabytes", [0.0, 2e-5, 1.0])
def test_remembered_vectors_are_those_of_the_model(megabytes: float) -> None:
    encode, plain = Counting(), Counting()
    remembered = cached(encode, megabytes)
    for texts in (["a", "bb", "a"], ["bb", "", "\ud800", "cccc"], [], ["cccc", "a"]):
        for kind in ("query", "document"):
            assert np.array_equal(remembered(texts, kind), plain(texts, kind))


def test_nothing_is_encoded_twice_while_there_is_room() -> None:
    encode = Counting()
    remembered = cached(encode, megabytes=3 * 8e-6)
    remembered(["a", "b", "a"], "document")
    remembered(["b", "c", "d"], "document")
    remembered(["a", "b", "c", "d"], "document")
    assert encode.asked == ["a", "b", "c", "d", "d"]
    remembered(["a"], "query")
    assert encode.asked[-1] == "a", "a query may have another prompt"
