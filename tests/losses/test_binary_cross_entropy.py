"""The binary cross-entropy against a loop, forward and gradient."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from twins.losses.binary_cross_entropy import naive_binary_cross_entropy

from reknit.losses.binary_cross_entropy import binary_cross_entropy


@settings(max_examples=25, deadline=None)
@given(count=st.integers(1, 30), seed=st.integers(0, 1000))
def test_equals_the_loop_forward_and_gradient(count: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(count, generator=generator).requires_grad_()
    labels = torch.rand(count, generator=generator) < 0.3
    loss, hits = binary_cross_entropy(logits, labels)
    expected = naive_binary_cross_entropy(logits, labels.tolist())
    torch.testing.assert_close(loss, expected)
    ours, theirs = (torch.autograd.grad(2 * one, logits)[0] for one in (loss, expected))
    torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=1e-5)
    assert int(hits) == sum((logit > 0) == label for logit, label in zip(logits.tolist(), labels.tolist(), strict=True))


def test_nothing_to_decide_is_no_loss() -> None:
    loss, hits = binary_cross_entropy(torch.zeros(0), torch.zeros(0, dtype=torch.bool))
    assert float(loss) == 0.0
    assert int(hits) == 0


def test_large_logits_stay_finite() -> None:
    loss, _ = binary_cross_entropy(torch.tensor([200.0, -200.0]), torch.tensor([False, True]))
    assert float(loss) == 200.0
