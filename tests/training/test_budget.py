from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from reknit.errors import ReknitError
from reknit.recipe import BudgetSpec
from reknit.training.budget import Ledger, count_flops, format_budget, parse_budget, scale_budget


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10m", BudgetSpec(seconds=600)),
        ("90s", BudgetSpec(seconds=90)),
        ("1.5h", BudgetSpec(seconds=5400)),
        ("5Mtok", BudgetSpec(tokens=5_000_000)),
        ("200ktokens", BudgetSpec(tokens=200_000)),
        ("700tok", BudgetSpec(tokens=700)),
        ("3Pflop", BudgetSpec(flops=3e15)),
        ("1e15flops", BudgetSpec(flops=1e15)),
        ("10m,5Mtok", BudgetSpec(seconds=600, tokens=5_000_000)),
    ],
)
def test_parse_budget(text: str, expected: BudgetSpec) -> None:
    assert parse_budget(text) == expected
    assert parse_budget(format_budget(expected)) == expected


@pytest.mark.parametrize("text", ["", "10", "0m", "-5m", "5 parsecs", "tok", "m10", "0.1tok", "5m,"])
def test_parse_budget_refuses(text: str) -> None:
    with pytest.raises(ReknitError, match=r"write time \(10m, 90s\)"):
        parse_budget(text)


@settings(max_examples=50, deadline=None)
@given(st.text(max_size=12))
def test_parse_budget_never_crashes(text: str) -> None:
    try:
        spec = parse_budget(text)
    except ReknitError:
        return
    assert any(limit is not None and limit > 0 for limit in (spec.tokens, spec.flops, spec.seconds))


def test_first_spent_limit_counts() -> None:
    ledger = Ledger(tokens=50, flops=10.0, seconds=9.0)
    assert ledger.progress(BudgetSpec(tokens=100, seconds=10.0)) == pytest.approx(0.9)
    assert ledger.progress(BudgetSpec(tokens=40)) == 1.0
    assert ledger.progress(BudgetSpec()) == 0.0
    left = ledger.left(BudgetSpec(tokens=100, flops=5.0))
    assert left == BudgetSpec(tokens=50, flops=0.0)
    assert scale_budget(BudgetSpec(tokens=100, seconds=10.0), 0.3) == BudgetSpec(tokens=30, seconds=3.0)


def test_flops_of_linear_and_attention_are_counted_by_hand() -> None:
    layer = nn.Linear(16, 24, bias=False)
    inputs = torch.randn(10, 16, requires_grad=True)
    with count_flops() as counter:
        layer(inputs).sum().backward()
    assert counter.get_total_flops() == 3 * 2 * 10 * 16 * 24

    query, key, value = (torch.randn(2, 3, 8, 16, requires_grad=True) for _ in range(3))
    with count_flops() as counter:
        functional.scaled_dot_product_attention(query, key, value).sum().backward()
    product = 2 * 2 * 3 * 8 * 8 * 16
    # Two products forward; the kernel's backward needs five.
    assert counter.get_total_flops() == 2 * product + 5 * product
