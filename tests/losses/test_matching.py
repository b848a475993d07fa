"""The choice among a batch's vectors against a loop, forward and gradient."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from twins.losses.matching import naive_matching

from reknit.losses.matching import matching


@settings(max_examples=25, deadline=None)
@given(count=st.integers(1, 12), seed=st.integers(0, 1000))
def test_equals_the_loop_forward_and_gradient(count: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    sides = [torch.randn(count, 6, generator=generator).requires_grad_() for _ in range(2)]
    loss, hits = matching(*sides)
    expected = naive_matching(*sides)
    torch.testing.assert_close(loss, expected)
    for ours, theirs in zip(*(torch.autograd.grad(2 * one, sides) for one in (loss, expected)), strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=1e-5)
    sides[1] = sides[1].detach()
    best = [max(range(count), key=lambda j, state=state: float(state @ sides[1][j])) for state in sides[0].detach()]
    assert int(hits) == sum(i == j for i, j in enumerate(best))


def test_without_a_choice_there_is_no_loss() -> None:
    for count in (0, 1):
        states = torch.ones(count, 3, requires_grad=True)
        loss, hits = matching(states, torch.ones(count, 3))
        assert float(loss.detach()) == 0.0
        assert int(hits) == count
        loss.backward()
        assert not states.grad.any()


def test_large_scores_stay_finite() -> None:
    loss, hits = matching(torch.eye(2) * 1e4, torch.eye(2).flip(0))
    assert float(loss) == 1e4
    assert int(hits) == 0
