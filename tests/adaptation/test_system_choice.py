"""The choice among systems is honest: equal systems have no winner, and a planted one is found."""

from __future__ import annotations

import numpy as np
import pytest

from reknit.adaptation.system_choice import cheapest_as_good, choose, choose_row, cross_fitted_gain, joined
from reknit.evaluation.system_values import HYBRID_WEIGHTS

NAMES = [f"system{n}" for n in range(12)]


def equal_systems(queries: int, rng: np.random.Generator, weights: int = 9) -> dict[str, np.ndarray]:
    """Twelve systems of one quality: hard and easy queries, and noise that each has of its own at each weight; the
    first has one weight only."""
    difficulty = rng.normal(size=queries)
    rows = {name: weights if number else 1 for number, name in enumerate(NAMES)}
    return {name: difficulty + rng.normal(size=(count, queries)) for name, count in rows.items()}


def test_equal_systems_have_a_winner_in_few_cases() -> None:
    rng = np.random.default_rng(0)
    named, flattered = 0, 0
    for trial in range(200):
        values = equal_systems(60, rng)
        gain = cross_fitted_gain([values], NAMES[0], trial)
        named += gain.is_significant and gain.difference > 0
        best = max((row for of in values.values() for row in of), key=np.mean)
        difference = best - values[NAMES[0]][0]
        flattered += difference.mean() > 2 * difference.std() / len(difference) ** 0.5
    assert named <= 10, "5%"
    assert flattered > 40, "on the queries that chose it, the best of a dozen looks better than it is"


def test_a_better_system_is_found_and_its_gain_is_not_flattered() -> None:
    rng = np.random.default_rng(1)
    gains = []
    for trial in range(30):
        values = equal_systems(300, rng, weights=1)
        values["system7"] += 0.6
        assert choose(values).system == "system7"
        gain = cross_fitted_gain([values], NAMES[0], trial)
        assert gain.is_significant
        gains.append(gain.difference)
    assert np.mean(gains) == pytest.approx(0.6, abs=0.06)


def test_of_systems_that_are_as_good_the_preferred_one_is_taken() -> None:
    rng = np.random.default_rng(2)
    rows = rng.normal(size=(1, 100))
    near = rows + 0.001 * rng.normal(size=(1, 100))
    values = {"rich": near, "plain": rows}
    assert choose(values).system == "rich"
    assert choose(dict(reversed(values.items()))).system == "plain"
    values["plain"] = rows + 1
    assert choose(values).system == "plain"


def test_the_weight_is_chosen_without_the_half_that_judges() -> None:
    """One weight is far better on some queries only: what the other half chooses knows nothing of it."""
    queries = 40
    choosing = np.zeros((9, queries))
    choosing[8] = 1.0 + 0.01 * np.random.default_rng(3).normal(size=queries)
    values = {"a": choosing, "have": np.zeros((1, queries))}
    assert cross_fitted_gain([values], "have", 0).difference == pytest.approx(1.0, abs=0.05)
    assert HYBRID_WEIGHTS[choose_row(choosing)] == 0.9
    assert choose_row(np.zeros((9, 5))) == HYBRID_WEIGHTS.index(0.5)
    assert choose_row(np.zeros((9, 5)), prior=0.0) == 0
    assert choose_row(np.zeros((1, 5))) == 0


def test_collections_count_the_same_however_many_queries_they_have() -> None:
    def of(gain: float, queries: int) -> dict[str, np.ndarray]:
        return {"new": np.full((1, queries), gain), "have": np.zeros((1, queries))}

    values = [of(0.1, 10), of(0.3, 1000)]
    assert cross_fitted_gain(values, "have", 0).difference == pytest.approx(0.2)
    assert joined(values)["new"].shape == (1, 1010)


def test_the_cheapest_that_is_as_good() -> None:
    rng = np.random.default_rng(4)
    good = rng.normal(size=300)
    values = [{"rich": good, "lean": good + 0.01 * rng.normal(size=300), "words": good - 0.5}]
    assert cheapest_as_good(values, "rich", {"rich": 10.0, "lean": 5.0, "words": 1.0}, 0) == "lean"
    # Timings that differ by a few percent say nothing.
    assert cheapest_as_good(values, "rich", {"rich": 10.0, "lean": 9.5, "words": 1.0}, 0) == "rich"
    values[0]["words"] = good
    assert cheapest_as_good(values, "rich", {"rich": 10.0, "lean": 5.0, "words": 1.0}, 0) == "words"


def test_a_single_query_decides_nothing() -> None:
    values = {"new": np.ones((9, 1)), "have": np.zeros((1, 1))}
    gain = cross_fitted_gain([values], "have", 0)
    assert gain.difference == 1.0
    assert not gain.is_significant
