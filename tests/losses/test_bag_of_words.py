"""The bag-of-words loss against loops, forward and gradient."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from twins.losses.bag_of_words import naive_bag_of_words

from reknit.losses import cross_entropy as chunks
from reknit.losses.bag_of_words import bag_of_words


def inputs(lengths: list[int], seed: int, vocabulary: int = 9) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    offsets = torch.tensor([0, *lengths]).cumsum(0)
    states = torch.randn(int(offsets[-1]), 4, generator=generator).requires_grad_()
    table = torch.randn(vocabulary, 4, generator=generator).requires_grad_()
    bias = torch.randn(vocabulary, generator=generator).requires_grad_()
    return states, table, bias, offsets, torch.randint(vocabulary, (int(offsets[-1]),), generator=generator)


@settings(max_examples=30, deadline=None)
@given(
    lengths=st.lists(st.integers(0, 6), min_size=1, max_size=6).filter(any),
    rows=st.integers(1, 12),
    seed=st.integers(0, 1000),
    with_bias=st.booleans(),
)
def test_equals_the_loop_forward_and_gradient(lengths: list[int], rows: int, seed: int, with_bias: bool) -> None:
    states, table, bias, offsets, words = inputs(lengths, seed)
    leaves = (states, table, bias) if with_bias else (states, table)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chunks, "CPU_CHUNK_ELEMENTS", rows * 9)
        loss = bag_of_words(states, table, bias if with_bias else None, offsets, words)
    expected = naive_bag_of_words(states, table, bias if with_bias else None, offsets.tolist(), words.tolist())
    torch.testing.assert_close(loss, expected)
    ours, theirs = torch.autograd.grad(2 * loss, leaves), torch.autograd.grad(2 * expected, leaves)
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)


def test_a_repeated_word_counts_once_and_lengths_divide() -> None:
    table = torch.eye(3)
    states = torch.tensor([[5.0, 0.0, 0.0], [5.0, 0.0, 0.0]])
    loss = bag_of_words(states, table, None, torch.tensor([0, 2]), torch.tensor([0, 0]))
    expected = -torch.tensor([5.0, 0.0, 0.0]).log_softmax(0)[0] / 2
    torch.testing.assert_close(loss, expected)


def test_nothing_gives_zero() -> None:
    states, table, bias, offsets, words = inputs([0, 0], 0)
    loss = bag_of_words(states, table, bias, offsets, words)
    assert float(loss.detach()) == 0.0
    assert all((gradient == 0).all() for gradient in torch.autograd.grad(loss, (states, table, bias)))


def test_autocast_stays_close() -> None:
    states, table, bias, offsets, words = inputs([30, 20, 40], 3, vocabulary=50)
    exact = bag_of_words(states, table, bias, offsets, words)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        lean = bag_of_words(states.to(torch.bfloat16), table, bias, offsets, words)
    assert lean.dtype == torch.float32
    assert abs(float(lean.detach() / exact.detach()) - 1) < 0.02
    assert torch.autograd.grad(lean, states)[0].isfinite().all()
