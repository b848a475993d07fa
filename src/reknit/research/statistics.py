"""What several seeds say about the arms of a comparison. The seed is the unit: arms are paired by it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Interval:
    """A mean over seeds with the 95% interval of Student's t; without one for a single seed."""

    mean: float
    ci95: tuple[float, float] | None

    def to_json(self) -> dict[str, Any]:
        return {"mean": self.mean, "ci95": self.ci95 and list(self.ci95)}


def interval(values: Sequence[float] | np.ndarray) -> Interval:
    """Of [seeds] values."""
    from scipy.stats import t

    found = np.asarray(values, dtype=np.float64)
    mean, count = float(found.mean()), len(found)
    if count < 2:
        return Interval(mean, None)
    reach = float(t.ppf(0.975, count - 1) * found.std(ddof=1) / count**0.5)
    return Interval(mean, (mean - reach, mean + reach))


def paired_interval(first: Sequence[float], second: Sequence[float]) -> Interval:
    """Of first - second, seed by seed."""
    return interval(np.asarray(first, dtype=np.float64) - np.asarray(second, dtype=np.float64))


def mean_ranks(values: np.ndarray, lower_is_better: Sequence[bool]) -> np.ndarray:
    """[arms, measures, seeds] -> [arms], the mean rank over measures and seeds; 1 is best, ties share their ranks.

    lower_is_better: of each measure.
    """
    from scipy.stats import rankdata

    signs = np.where(lower_is_better, 1.0, -1.0)
    ranks = rankdata(values * signs[:, None], axis=0)
    means: np.ndarray = ranks.reshape(len(values), -1).mean(axis=1)
    return means
