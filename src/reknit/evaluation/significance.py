"""How sure a difference is: intervals by bootstrap over queries, p values by random sign flips.

Queries are the sampling unit (Smucker, Allan and Carterette, CIKM 2007). Everything is a pure function of the values
and the seed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from reknit.errors import ReknitError

Values = Sequence[float] | np.ndarray

RESAMPLES = 10_000
SIGNIFICANT = 0.05
_DRAWS_IN_MEMORY = 2_000_000
_STANDARD_ERRORS = 2.0


@dataclass(frozen=True)
class Paired:
    """How much larger the first system is than the second.

    difference: mean over the queries of (first - second). ci95: 95% percentile bootstrap interval of it. p: two-sided
    p value of the sign-flip randomisation test; at least 1 / (resamples + 1).
    """

    difference: float
    ci95: tuple[float, float]
    p: float

    @property
    def is_significant(self) -> bool:
        """Whether the interval leaves out 0 and the sign-flip test agrees; with very few queries a bootstrap alone is
        too sure."""
        low, high = self.ci95
        return (low > 0 or high < 0) and self.p < SIGNIFICANT

    @property
    def in_words(self) -> str:
        """As a sentence has it: "+0.021, 95% interval +0.010 to +0.032, p < 0.001"."""
        low, high = self.ci95
        p = "p < 0.001" if self.p < 0.001 else f"p {self.p:.3f}"
        return f"{self.difference:+.3f}, 95% interval {low:+.3f} to {high:+.3f}, {p}"


def bootstrap_interval(values: Values, seed: int, resamples: int = RESAMPLES) -> tuple[float, float]:
    """95% percentile interval of the mean of `values` [queries], by resampling queries with replacement (Efron 1979).

    Raises ReknitError on no values.
    """
    return stratified_interval([values], seed, resamples)


def paired_test(a: Values, b: Values, seed: int, resamples: int = RESAMPLES) -> Paired:
    """Is system `a` better than `b`? Both [queries], in the same order of queries.

    Raises ReknitError on no values or different lengths.
    """
    if len(a) != len(b):
        raise ReknitError(f"a paired test needs the same queries on both sides, found {len(a)} and {len(b)}")
    return stratified_test([np.asarray(a, dtype=np.float64) - np.asarray(b, dtype=np.float64)], seed, resamples)


def stratified_test(differences: Sequence[Values], seed: int, resamples: int = RESAMPLES) -> Paired:
    """The paired test over several collections: the mean of the collections' mean differences.

    differences: for each collection the per-query differences [queries of the collection]. Every collection counts the
    same however many queries it has; queries are resampled, and signs flipped, within their collection.
    """
    strata = _strata(differences)
    observed = float(np.mean([stratum.mean() for stratum in strata]))
    rng = np.random.default_rng([seed, 1])
    flipped = _mean_over_strata(strata, resamples, lambda stratum, rows: _sign_flipped_means(stratum, rows, rng))
    # Sums in another order differ in the last bits; a tie with the observed value must count as a tie.
    as_extreme = int(np.count_nonzero(np.abs(flipped) >= abs(observed) - 1e-12))
    return Paired(observed, stratified_interval(strata, seed, resamples), (1 + as_extreme) / (1 + resamples))


def stratified_interval(values: Sequence[Values], seed: int, resamples: int = RESAMPLES) -> tuple[float, float]:
    """95% percentile bootstrap interval of the mean of the collections' means, resampling within each collection."""
    strata = _strata(values)
    rng = np.random.default_rng([seed, 0])
    means = _mean_over_strata(strata, resamples, lambda stratum, rows: _resampled_means(stratum, rows, rng))
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)


def as_good_as_the_best(values: np.ndarray, standard_errors: float = _STANDARD_ERRORS) -> np.ndarray:
    """[choices, queries] values -> [choices] bool: whose mean is at most `standard_errors` standard errors below the
    best mean.

    The standard error is that of the difference, query by query (the rule of Breiman et al. 1984, who take one; the
    probe's queries are not those of users, so it must speak clearly to be followed).
    """
    distances, errors = distances_from_the_best(values)
    return distances <= standard_errors * errors


def distances_from_the_best(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """[choices, queries] values -> [choices] by how much each mean is below the best one, and the standard errors of
    that, query by query."""
    worse = values[values.mean(axis=1).argmax()] - values
    return worse.mean(axis=1), worse.std(axis=1) / values.shape[1] ** 0.5


def nearest_as_good(
    choices: Sequence[float], values: np.ndarray, centre: float, standard_errors: float = _STANDARD_ERRORS
) -> float:
    """Of the choices that are `as_good_as_the_best`, the one nearest to `centre`. values: [choices, queries]."""
    good = as_good_as_the_best(values, standard_errors)
    kept = [choice for choice, is_good in zip(choices, good, strict=True) if is_good]
    return min(kept, key=lambda choice: abs(choice - centre))


def _strata(values: Sequence[Values]) -> list[np.ndarray]:
    strata = [np.asarray(stratum, dtype=np.float64) for stratum in values]
    if not strata or any(stratum.size == 0 for stratum in strata):
        raise ReknitError("an interval needs at least one query per collection, found a collection without any")
    return strata


def _mean_over_strata(
    strata: list[np.ndarray], resamples: int, draw: Callable[[np.ndarray, int], np.ndarray]
) -> np.ndarray:
    means = [np.concatenate([draw(stratum, rows) for rows in _blocks(resamples, stratum.size)]) for stratum in strata]
    mean: np.ndarray = np.mean(means, axis=0)
    return mean


def _blocks(resamples: int, queries: int) -> Iterator[int]:
    rows = max(1, _DRAWS_IN_MEMORY // queries)
    for start in range(0, resamples, rows):
        yield min(rows, resamples - start)


def _resampled_means(stratum: np.ndarray, rows: int, rng: np.random.Generator) -> np.ndarray:
    means: np.ndarray = stratum[rng.integers(0, stratum.size, (rows, stratum.size), dtype=np.int32)].mean(axis=1)
    return means


def _sign_flipped_means(stratum: np.ndarray, rows: int, rng: np.random.Generator) -> np.ndarray:
    signs = rng.integers(0, 2, (rows, stratum.size), dtype=np.int8) * 2.0 - 1.0
    means: np.ndarray = signs @ stratum / stratum.size
    return means
