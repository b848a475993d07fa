"""The checks of a world of generated texts with planted truth. Each raises AssertionError and says what it found."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import torch

from reknit.data.batch import Batch

MakeBatch = Callable[..., Batch]
"""(texts, *seed) -> a batch."""


def check_follows_the_seed(make: MakeBatch) -> None:
    """The same seed gives the same bytes, and another one gives other texts."""
    first, again, other = make(3, 5, 1), make(3, 5, 1), make(3, 5, 2)
    assert first.tokens.numpy().tobytes() == again.tokens.numpy().tobytes(), "the same seed gives other texts"
    assert torch.equal(first.cu_seqlens, again.cu_seqlens), "the same seed gives texts of other lengths"
    assert first.tokens.numpy().tobytes() != other.tokens.numpy().tobytes(), "another seed gives the same texts"
    firsts = make(2, 9, 0).tokens.view(2, -1)
    assert not torch.equal(firsts[0], firsts[1]), "the texts of a batch are all the same"


def check_truth(answers: Callable[[Batch], list[int]], naive: Callable[[list[int]], list[int]], batch: Batch) -> None:
    """What the world says of each token is what a reader of that text alone finds, one token after the other."""
    found, ends = answers(batch), batch.cu_seqlens.tolist()
    assert any(answer >= 0 for answer in found), "nothing has an answer"
    for begin, end in pairwise(ends):
        wanted = naive(batch.tokens[begin:end].tolist())
        for place, (mine, theirs) in enumerate(zip(found[begin:end], wanted, strict=True)):
            assert mine == theirs, f"token {place} of a text has the answer {mine}, and {theirs} by reading"
