"""Ranges of numbers, declared where a setting stands: `dropout: FractionBelowOne = 0.1`."""

from __future__ import annotations

import math
import typing
from dataclasses import dataclass
from typing import Annotated, Any


@dataclass(frozen=True)
class Range:
    """The finite numbers from `low` to `high`; an open end leaves out the bound itself. `Range()` is any number."""

    low: float = -math.inf
    high: float = math.inf
    low_open: bool = False
    high_open: bool = False

    def __str__(self) -> str:
        if math.isfinite(self.low) and math.isfinite(self.high) and not (self.low_open or self.high_open):
            return f"{self.low:g} to {self.high:g}"
        ends = [self._from()] * math.isfinite(self.low) + [self._to()] * math.isfinite(self.high)
        return " and ".join(ends) or "any number"

    def complaint(self, value: float) -> str | None:
        """What a number outside would have to be, such as "above 0"; None for a number inside."""
        if not math.isfinite(value) or value < self.low or (self.low_open and value == self.low):
            return self._from() if math.isfinite(self.low) else "finite"
        if value > self.high or (self.high_open and value == self.high):
            return self._to()
        return None

    def _from(self) -> str:
        return f"above {self.low:g}" if self.low_open else f"{self.low:g} or more"

    def _to(self) -> str:
        return f"{'below' if self.high_open else 'at most'} {self.high:g}"


PositiveInt = Annotated[int, Range(low=0, low_open=True)]
PositiveFloat = Annotated[float, Range(low=0, low_open=True)]
NonNegativeInt = Annotated[int, Range(low=0)]
NonNegativeFloat = Annotated[float, Range(low=0)]
Fraction = Annotated[float, Range(low=0, high=1)]
PositiveFraction = Annotated[float, Range(low=0, high=1, low_open=True)]
FractionBelowOne = Annotated[float, Range(low=0, high=1, high_open=True)]
InnerFraction = Annotated[float, Range(low=0, high=1, low_open=True, high_open=True)]


def range_of(hint: Any) -> Range | None:
    """The range that a field's type declares, also for the elements of a tuple; None where it declares none.

    hint: the type as `typing.get_type_hints(..., include_extras=True)` gives it.
    """
    for extra in getattr(hint, "__metadata__", ()):
        if isinstance(extra, Range):
            return extra
    return next((found for part in typing.get_args(hint) if (found := range_of(part)) is not None), None)
