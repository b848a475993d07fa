"""Ranges of numbers: what is inside, what a number outside is told, and where a field's type declares one."""

from __future__ import annotations

import math
from typing import Annotated, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reknit.ranges import (
    Fraction,
    FractionBelowOne,
    InnerFraction,
    NonNegativeFloat,
    PositiveFraction,
    PositiveInt,
    Range,
    range_of,
)

BOUNDS = st.one_of(st.just(-math.inf), st.just(math.inf), st.sampled_from([-1.0, 0.0, 1.0, 2.5]))
NUMBERS = st.one_of(st.sampled_from([-1.0, 0.0, 1.0, 2.5]), st.floats())


@given(NUMBERS, BOUNDS, BOUNDS, st.booleans(), st.booleans())
def test_a_complaint_is_made_of_numbers_outside_and_of_no_others(value, low, high, low_open, high_open) -> None:
    above = value > low if low_open else value >= low
    below = value < high if high_open else value <= high
    inside = math.isfinite(value) and above and below
    assert (Range(low, high, low_open, high_open).complaint(value) is None) == inside


@pytest.mark.parametrize(
    ("hint", "shown", "outside"),
    [
        (PositiveInt, "above 0", {0: "above 0", -1: "above 0", math.nan: "above 0"}),
        (NonNegativeFloat, "0 or more", {-0.5: "0 or more", math.inf: "0 or more"}),
        (Fraction, "0 to 1", {-0.1: "0 or more", 1.1: "at most 1"}),
        (PositiveFraction, "above 0 and at most 1", {0.0: "above 0", 1.1: "at most 1"}),
        (FractionBelowOne, "0 or more and below 1", {-0.1: "0 or more", 1.0: "below 1"}),
        (InnerFraction, "above 0 and below 1", {0.0: "above 0", 1.0: "below 1"}),
        (Annotated[int, Range(low=2)], "2 or more", {1: "2 or more"}),
        (Annotated[float, Range()], "any number", {math.nan: "finite"}),
    ],
)
def test_a_range_says_what_it_is_and_what_is_wrong(hint, shown: str, outside: dict[float, str]) -> None:
    found = range_of(hint)
    assert found is not None
    assert str(found) == shown
    assert {value: found.complaint(value) for value in outside} == outside


@pytest.mark.parametrize("hint", [PositiveInt, PositiveInt | None, tuple[PositiveInt, ...]])
def test_a_range_is_found_within_a_type(hint) -> None:
    assert range_of(hint) == Range(low=0, low_open=True)


@pytest.mark.parametrize("hint", [int, float | None, tuple[int, ...], Literal["a"], str, Annotated[int, "no range"]])
def test_a_type_without_a_range_has_none(hint) -> None:
    assert range_of(hint) is None
