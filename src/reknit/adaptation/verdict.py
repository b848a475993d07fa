"""Which model to use, decided by measurement: the adapted one only when it is significantly better."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from reknit.data.text.holdout import PROBE
from reknit.errors import ReknitError
from reknit.evaluation.scores import Evaluation
from reknit.evaluation.significance import Paired, stratified_test
from reknit.runs.result import ModelName, Verdict


@dataclass(frozen=True)
class _Measured:
    """One deciding collection: per-query values of both models in one order of queries, and their comparison."""

    dataset: str
    adapted: np.ndarray
    start: np.ndarray
    paired: Paired


def decide(
    evaluations: Sequence[Evaluation], *, system: str = "adapted", metric: str = "nDCG@10", seed: int
) -> Verdict:
    """Compare the systems "adapted", or another that `system` names in its place, and "start".

    Labelled collections decide where there are any; else the collection named "probe". Over several collections the
    difference is the mean of the collections' mean differences, with a bootstrap stratified by collection. The answer
    is "adapted" only when the interval of the difference lies above 0, the sign-flip test agrees (p < 0.05; with very
    few queries a bootstrap alone is too sure), and no deciding collection is significantly worse. Raises ReknitError
    when no evaluation holds both systems, or theirs are over different queries.
    """
    measured = [
        _measure(evaluation, system, metric, seed)
        for evaluation in evaluations
        if system in evaluation.per_query and "start" in evaluation.per_query
    ]
    if not measured:
        raise ReknitError(f'no verdict without an evaluation of both "{system}" and "start": evaluate both models')
    deciding = [one for one in measured if one.dataset != PROBE] or measured
    paired = stratified_test([one.adapted - one.start for one in deciding], seed)
    worse = [one for one in deciding if one.paired.is_significant and one.paired.difference < 0]
    better = paired.is_significant and paired.difference > 0
    use: ModelName = "adapted" if better and not worse else "start"
    return Verdict(
        use=use,
        metric=metric,
        difference=paired.difference,
        ci95=paired.ci95,
        p=paired.p,
        decided_by=", ".join(one.dataset for one in deciding),
        sentence=_sentence(use, metric, deciding, paired, worse if better else []),
    )


def _measure(evaluation: Evaluation, system: str, metric: str, seed: int) -> _Measured:
    values = {}
    for name in (system, "start"):
        if metric not in evaluation.per_query[name]:
            known = sorted(evaluation.per_query[name])
            raise ReknitError(f"{evaluation.dataset} has no {metric!r} for {name!r}: choose one of {known}")
        values[name] = evaluation.per_query[name][metric]
    if values[system].keys() != values["start"].keys() or not values["start"]:
        raise ReknitError(f"{evaluation.dataset}: both models must be scored on the same queries, at least one")
    queries = sorted(values["start"])
    adapted, start = (np.array([values[name][query] for query in queries]) for name in (system, "start"))
    return _Measured(evaluation.dataset, adapted, start, stratified_test([adapted - start], seed))


def _sentence(use: ModelName, metric: str, deciding: list[_Measured], paired: Paired, worse: list[_Measured]) -> str:
    before = float(np.mean([one.start.mean() for one in deciding]))
    after = float(np.mean([one.adapted.mean() for one in deciding]))
    queries = sum(one.start.size for one in deciding)
    names = ", ".join(one.dataset for one in deciding)
    what = f"{metric} on {names}" if len(deciding) == 1 else f"mean {metric} over {len(deciding)} collections ({names})"
    measured = f"({paired.in_words}, {queries} {'query' if queries == 1 else 'queries'})"
    if use == "adapted":
        return f"Use the adapted model: {what} rises from {before:.3f} to {after:.3f} {measured}."
    if worse:
        falls = "; ".join(f"on {one.dataset} it falls ({one.paired.in_words})" for one in worse)
        return f"Keep the start model: {what} rises from {before:.3f} to {after:.3f} {measured}, but {falls}."
    if paired.is_significant:
        return f"Keep the start model: {what} falls from {before:.3f} to {after:.3f} {measured}."
    return f"Keep the start model: no significant gain, {what} goes from {before:.3f} to {after:.3f} {measured}."
