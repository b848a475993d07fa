"""Which search system to run: chosen on some queries, judged on others.

Choosing the best of a dozen systems on the queries that judge it flatters it. So the queries are halved: what is chosen
on one half is compared on the other half with what the user has, and the other way round (cross-fitting). The system
that is named is the one chosen on all queries.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from reknit.evaluation.significance import Paired, as_good_as_the_best, nearest_as_good, stratified_test
from reknit.evaluation.system_values import HYBRID_WEIGHTS
from reknit.retrieval.fusion import EQUAL_PARTS

CHEAPER = 0.8
FEWEST_QUERIES = 4
"""A sign-flip test of fewer differences is never significant."""


@dataclass(frozen=True)
class Choice:
    """system: its name. row: of its values, the place of its weight in HYBRID_WEIGHTS."""

    system: str
    row: int


Values = Mapping[str, np.ndarray]
"""{system: [weights, queries] nDCG@10}, a single row for a system without weights to choose; on one collection."""


def choose(values: Values, prior: float = EQUAL_PARTS) -> Choice:
    """The system to run.

    values: the systems in the order in which they are preferred. Each system gets its weight first (`choose_row`). Of
    the systems that are then not significantly worse than the best (by two standard errors), the first is taken: the
    queries of a probe are not those of users, so it must speak clearly against what has done well elsewhere.
    """
    rows = {name: choose_row(of, prior) for name, of in values.items()}
    table = np.array([of[rows[name]] for name, of in values.items()])
    first = int(np.flatnonzero(as_good_as_the_best(table))[0])
    name = list(values)[first]
    return Choice(name, rows[name])


def joined(values: Sequence[Values]) -> dict[str, np.ndarray]:
    """The same systems over the queries of all collections."""
    return {name: np.concatenate([of[name] for of in values], axis=1) for name in values[0]}


def choose_row(values: np.ndarray, prior: float = EQUAL_PARTS) -> int:
    """[weights, queries] -> the place of the weight to take: of those that are not significantly worse than the best
    one (by two standard errors), the one nearest to the prior. 0 where there is only one row.

    Equal weights let the weaker ranking drag the stronger one down; the probe, which needs no labels, knows which is
    which. Equal parts are right for most collections.
    """
    if len(values) == 1:
        return 0
    return HYBRID_WEIGHTS.index(nearest_as_good(HYBRID_WEIGHTS, values, prior))


def cross_fitted_gain(values: Sequence[Values], have: str, seed: int, prior: float = EQUAL_PARTS) -> Paired:
    """nDCG@10 of what is chosen on one half of the queries less that of `have`, on the other half.

    values: of each collection that judges, over the same systems; all count the same. `have` is searched at the weight
    that the half which chooses gives it.
    """
    if min(of[have].shape[1] for of in values) < FEWEST_QUERIES:
        # Too few for halves, and for a significant gain: what is chosen by all of them stands in.
        chosen, before = choose(joined(values), prior), choose_row(joined(values)[have], prior)
        return stratified_test([of[chosen.system][chosen.row] - of[have][before] for of in values], seed)
    rng = np.random.default_rng([seed, 4])
    halves = [np.array_split(rng.permutation(of[have].shape[1]), 2) for of in values]
    differences: list[list[np.ndarray]] = [[] for _ in values]
    for chooses, judges in ((0, 1), (1, 0)):
        choosing = joined([_some(of, half[chooses]) for of, half in zip(values, halves, strict=True)])
        chosen, before = choose(choosing, prior), choose_row(choosing[have], prior)
        for of, half, found in zip(values, halves, differences, strict=True):
            judging = _some(of, half[judges])
            found.append(judging[chosen.system][chosen.row] - judging[have][before])
    return stratified_test([np.concatenate(found) for found in differences], seed)


def _some(values: Values, queries: np.ndarray) -> dict[str, np.ndarray]:
    return {name: of[:, queries] for name, of in values.items()}


def cheapest_as_good(
    values: Sequence[Mapping[str, np.ndarray]], chosen: str, cost: Mapping[str, float], seed: int
) -> str:
    """The system of least cost that is not significantly worse than the chosen one, which it may be itself.

    Only what costs less than CHEAPER of the chosen one is cheaper: timings are noisy. values: of each collection that
    judges, {system: [queries] nDCG@10}.
    """
    cheaper = [name for name in cost if cost[name] < CHEAPER * cost[chosen]]
    for name in sorted(cheaper, key=cost.__getitem__):
        paired = stratified_test([of[name] - of[chosen] for of in values], seed)
        if not (paired.is_significant and paired.difference < 0):
            return name
    return chosen
