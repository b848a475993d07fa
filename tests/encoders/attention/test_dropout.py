"""The fast dropout behaves as dropout must."""

from __future__ import annotations

import pytest
import torch

from reknit.encoders.attention.dropout import Dropout, dropout


@pytest.mark.parametrize("probability", [0.001, 0.1, 0.5, 0.9])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_share_scale_and_expectation(probability: float, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    values = torch.full((500, 401), 2.0, dtype=dtype)
    dropped = dropout(values, probability)
    rounded = min(max(round(probability * 256), 1), 255) / 256
    assert (dropped == 0).float().mean().item() == pytest.approx(rounded, abs=0.005)
    survivors = dropped[dropped != 0]
    assert survivors.unique().numel() == 1
    assert survivors[0].item() == pytest.approx(2.0 / (1 - rounded), rel=0.01)
    assert dropped.float().mean().item() == pytest.approx(2.0, rel=0.03)
    assert dropped.dtype == dtype


def test_every_byte_of_a_random_word_is_fair() -> None:
    torch.manual_seed(0)
    zeros = (dropout(torch.ones(40_000, 8), 0.25) == 0).float().mean(0)
    assert zeros.sub(0.25).abs().max() < 0.02


def test_gradient_goes_where_the_value_went() -> None:
    torch.manual_seed(0)
    values = torch.randn(64, 33, requires_grad=True)
    dropped = dropout(values, 0.3)
    dropped.sum().backward()
    torch.testing.assert_close(values.grad, (dropped / values).detach())


def test_seeded_and_off_outside_training() -> None:
    values = torch.randn(10, 10)
    module = Dropout(0.5)
    torch.manual_seed(7)
    first = module(values)
    torch.manual_seed(7)
    assert torch.equal(first, module(values))
    assert module.eval()(values) is values
    assert dropout(values, 0.0) is values
    assert torch.equal(dropout(values, 1.0), torch.zeros_like(values))
