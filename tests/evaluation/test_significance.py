"""Intervals that cover, p values that are uniform without an effect and small with one."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from reknit.errors import ReknitError
from reknit.evaluation import significance
from reknit.evaluation.significance import (
    as_good_as_the_best,
    bootstrap_interval,
    paired_test,
    stratified_interval,
    stratified_test,
)


def test_intervals_cover_the_true_mean_about_95_times_in_100():
    rng = np.random.default_rng(0)
    covered = 0
    for trial in range(300):
        low, high = bootstrap_interval(rng.beta(0.5, 0.5, 80), seed=trial, resamples=1000)
        covered += low <= 0.5 <= high
    assert 0.90 <= covered / 300 <= 0.985


def test_interval_agrees_with_the_normal_approximation_and_with_a_loop():
    values = np.random.default_rng(1).normal(0.3, 0.2, 400)
    low, high = bootstrap_interval(values, seed=0)
    error = 1.96 * values.std() / 20
    assert (low, high) == pytest.approx((values.mean() - error, values.mean() + error), abs=0.002)
    rng = np.random.default_rng(2)
    naive = [np.mean([values[rng.integers(400)] for _ in range(400)]) for _ in range(300)]
    assert (low, high) == pytest.approx(tuple(np.quantile(naive, [0.025, 0.975])), abs=0.006)


def test_results_depend_on_the_seed_and_nothing_else(monkeypatch):
    values = np.random.default_rng(0).random(50)
    assert bootstrap_interval(values, seed=1) == bootstrap_interval(list(values), seed=1)
    assert bootstrap_interval(values, seed=1) != bootstrap_interval(values, seed=2)
    assert paired_test(values, values**2, 5) == paired_test(values, values**2, 5)


def test_small_memory_gives_the_same_interval(monkeypatch):
    values = np.random.default_rng(0).random(50)
    whole = bootstrap_interval(values, seed=1)
    monkeypatch.setattr(significance, "_DRAWS_IN_MEMORY", 1000)
    assert bootstrap_interval(values, seed=1) == pytest.approx(whole)


def test_p_values_are_uniform_without_an_effect():
    rng = np.random.default_rng(0)
    p = np.array(
        [paired_test(rng.normal(size=40), rng.normal(size=40), seed=trial, resamples=500).p for trial in range(400)]
    )
    for level in (0.05, 0.25, 0.5, 0.75):
        expected, error = level, 3.5 * np.sqrt(level * (1 - level) / 400)
        assert abs((p <= level).mean() - expected) < error + 0.005


def test_a_planted_effect_is_detected_with_its_size_and_direction():
    rng = np.random.default_rng(0)
    start = rng.random(150)
    adapted = start + rng.normal(0.05, 0.1, 150)
    paired = paired_test(adapted, start, seed=0)
    assert paired.difference == pytest.approx(float((adapted - start).mean()))
    assert 0 < paired.ci95[0] < paired.difference < paired.ci95[1]
    assert paired.p < 0.001
    mirrored = paired_test(start, adapted, seed=0)
    assert mirrored.difference == pytest.approx(-paired.difference)
    assert mirrored.p == paired.p


def test_p_equals_the_exact_test_over_all_sign_patterns():
    differences = np.array([0.3, -0.1, 0.2, 0.4, 0.05, -0.02, 0.1, 0.1])
    patterns = np.array(list(itertools.product([-1, 1], repeat=8)))
    exact = float((np.abs(patterns @ differences) >= abs(differences.sum()) - 1e-9).mean())
    assert paired_test(differences, np.zeros(8), seed=0).p == pytest.approx(exact, abs=0.01)


def test_equal_systems_differ_by_nothing():
    values = np.random.default_rng(0).random(30)
    paired = paired_test(values, values, seed=0)
    assert (paired.difference, paired.ci95, paired.p) == (0.0, (0.0, 0.0), 1.0)


def test_strata_count_the_same_however_many_queries_they_have():
    small, large = np.full(10, 0.4), np.zeros(1000)
    paired = stratified_test([small, large], seed=0)
    assert paired.difference == pytest.approx(0.2)
    assert paired.ci95 == pytest.approx((0.2, 0.2))
    rng = np.random.default_rng(0)
    strata = [rng.normal(0, 1, 50), rng.normal(0, 1, 200)]
    low, high = stratified_interval(strata, seed=0)
    error = 0.5 * np.sqrt(strata[0].var() / 50 + strata[1].var() / 200)
    assert high - low == pytest.approx(2 * 1.96 * error, rel=0.1)


def test_nothing_to_compare_is_refused():
    with pytest.raises(ReknitError, match="at least one query"):
        bootstrap_interval([], seed=0)
    with pytest.raises(ReknitError, match="same queries"):
        paired_test([1.0], [1.0, 2.0], seed=0)
    with pytest.raises(ReknitError, match="at least one query"):
        stratified_test([], seed=0)


def test_as_good_as_the_best_is_at_most_two_standard_errors_below() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal([[0.5], [0.52], [0.1], [0.51]], 0.2, size=(4, 50))
    best = max(range(4), key=lambda row: values[row].mean())
    for row, good in enumerate(as_good_as_the_best(values)):
        differences = [float(a - b) for a, b in zip(values[best], values[row], strict=True)]
        mean = sum(differences) / 50
        error = math.sqrt(sum((one - mean) ** 2 for one in differences) / 50) / math.sqrt(50)
        assert good == (mean <= 2 * error)
    assert as_good_as_the_best(np.ones((3, 5))).all()
