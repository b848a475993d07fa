"""Intervals over seeds and mean ranks, against the formulas written out."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reknit.research.statistics import interval, mean_ranks, paired_interval

# 97.5% quantiles of Student's t, from any table.
QUANTILES = {2: 12.706, 3: 4.303, 5: 2.776, 10: 2.262}


@pytest.mark.parametrize("count", list(QUANTILES))
def test_student_interval(count: int) -> None:
    values = np.random.default_rng(count).normal(0.5, 0.1, count).tolist()
    mean = sum(values) / count
    deviation = math.sqrt(sum((one - mean) ** 2 for one in values) / (count - 1))
    reach = QUANTILES[count] * deviation / math.sqrt(count)
    found = interval(values)
    assert found.mean == pytest.approx(mean)
    assert found.ci95 == pytest.approx((mean - reach, mean + reach), abs=1e-4)


def test_one_seed_has_no_interval() -> None:
    assert interval([0.4]).to_json() == {"mean": 0.4, "ci95": None}


def test_what_seeds_share_does_not_widen_a_difference() -> None:
    first, second = [0.1, 0.5, 0.9], [0.0, 0.4, 0.8]
    low, high = paired_interval(first, second).ci95 or (0.0, 0.0)
    assert low == pytest.approx(0.1)
    assert high == pytest.approx(0.1)


@settings(deadline=None)
@given(
    st.integers(2, 5), st.integers(1, 3), st.integers(1, 3), st.integers(0, 100), st.lists(st.booleans(), min_size=3)
)
def test_mean_ranks_are_counts_of_better_ones(
    arms: int, measures: int, seeds: int, seed: int, lower: list[bool]
) -> None:
    values = np.random.default_rng(seed).integers(0, 4, (arms, measures, seeds)) / 4
    lower, expected = lower[:measures], []
    for arm in range(arms):
        ranks = [
            1
            + sum(
                values[other, m, s] < values[arm, m, s] if lower[m] else values[other, m, s] > values[arm, m, s]
                for other in range(arms)
            )
            + sum(values[other, m, s] == values[arm, m, s] for other in range(arms) if other != arm) / 2
            for m in range(measures)
            for s in range(seeds)
        ]
        expected.append(sum(ranks) / len(ranks))
    np.testing.assert_allclose(mean_ranks(values, lower), expected)
