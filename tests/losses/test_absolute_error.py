"""Mean absolute error against loops, its gradient, and nothing to predict."""

from __future__ import annotations

import torch

from reknit.losses.absolute_error import absolute_error


def test_against_loops() -> None:
    rng = torch.Generator().manual_seed(0)
    predicted, wanted = (torch.randn(5, 7, generator=rng) for _ in range(2))
    pairs = zip(predicted.flatten().tolist(), wanted.flatten().tolist(), strict=True)
    expected = sum(abs(one - other) for one, other in pairs) / 35
    predicted.requires_grad_()
    loss = absolute_error(predicted, wanted)
    torch.testing.assert_close(loss.detach(), torch.tensor(expected))
    loss.backward()
    torch.testing.assert_close(predicted.grad, torch.sign(predicted.detach() - wanted) / 35)


def test_nothing_to_predict() -> None:
    nothing = torch.zeros(0, 7, requires_grad=True)
    loss = absolute_error(nothing, torch.zeros(0, 7))
    loss.backward()
    assert float(loss.detach()) == 0.0


def test_half_precision_is_summed_in_full() -> None:
    predicted = torch.full((4000, 1), 1.001, dtype=torch.bfloat16)
    assert absolute_error(predicted, torch.zeros(4000, 1)).dtype == torch.float32
