"""Top-AFA's number of features, beside loops."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from naive_features import naive_afa_count

from reknit.interpretability.top_afa import TopAFA

ACTIVATIONS = st.lists(st.floats(0, 4, width=16), min_size=2, max_size=12)


@settings(max_examples=200, deadline=None)
@given(st.lists(ACTIVATIONS, min_size=1, max_size=4), st.floats(0, 8, width=16))
def test_the_count_is_that_of_loops(rows: list[list[float]], length: float) -> None:
    width = max(map(len, rows))
    activations = torch.tensor([row + [0.0] * (width - len(row)) for row in rows], dtype=torch.float64)
    centred = torch.zeros(len(rows), 5, dtype=torch.float64)
    centred[:, 2] = length
    ranked = activations.sort(dim=1, descending=True).values
    found = TopAFA(5, width).counts(ranked, centred).tolist()
    for row, count in zip(ranked.tolist(), found, strict=True):
        wanted = naive_afa_count(row, length)
        # Two counts may be equally near but for rounding: they are as good.
        assert abs(_distance(row, count, length) - _distance(row, wanted, length)) < 1e-9
        assert 1 <= count < width or width == 1


def _distance(row: list[float], count: int, length: float) -> float:
    return abs(sum(value * value for value in row[:count]) ** 0.5 - length)


def test_a_case_worked_by_hand() -> None:
    """Lengths of the first 1, 2, 3 are 3, 5, 13; all four never match."""
    ranked = torch.tensor([[3.0, 4.0, 12.0, 0.5]] * 4).sort(dim=1, descending=True).values
    # In order: 12, 4, 3, 0.5 -> lengths 12, 12.65, 13, (never).
    centred = torch.tensor([[12.1, 0.0], [12.5, 0.0], [40.0, 0.0], [0.0, 1.0]])
    assert TopAFA(2, 4).counts(ranked, centred).tolist() == [1, 2, 3, 1]


def test_the_code_of_a_model_has_nearly_the_length_of_its_input() -> None:
    model = TopAFA(16, 64, seed=1)
    inputs = torch.randn(50, 16, generator=torch.Generator().manual_seed(0))
    code = model.select(model.activations(inputs), inputs)
    largest = code.max(dim=1).values
    gaps = (code.norm(dim=1) - (inputs - model.bias).norm(dim=1)).abs()
    reachable = model.activations(inputs).norm(dim=1) > inputs.norm(dim=1)
    assert reachable.any()
    # One more feature, or one fewer, changes the length by no more than its activation.
    assert bool((gaps[reachable] <= largest[reachable]).all())
