"""Whether the new tokenizer is worth having: fewer tokens, or better search, and search not worse by a margin."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from reknit.evaluation.scores import Evaluation
from reknit.evaluation.significance import Paired, bootstrap_interval, stratified_test

OLD, NEW = "old", "new"
METRIC = "nDCG@10"


@dataclass(frozen=True)
class Verdict:
    """use: the tokenizer to use. difference, ci95, p: new - old in `metric`, with its 95% interval. margin: what the
    new one may cost. saved, saved_ci95: fraction of a text's tokens that the new one saves. sentence: all of it in
    plain English."""

    use: Literal["old", "new"]
    metric: str
    difference: float
    ci95: tuple[float, float]
    p: float
    margin: float
    decided_by: str
    saved: float
    saved_ci95: tuple[float, float]
    sentence: str


def decide(
    evaluations: Sequence[Evaluation], before: np.ndarray, after: np.ndarray, *, margin: float, seed: int
) -> Verdict:
    """The verdict from evaluations that have the systems "old" and "new", and from the tokens of texts.

    before, after: [texts] tokens by the old and the new tokenizer. Labelled collections decide where there are any,
    else the probe: the mean of the collections' mean differences, queries resampled within each. The new tokenizer is
    to be used only where it saves tokens or its search is better (an interval above 0, and p < 0.05), and the whole
    interval of its search is above -margin, and on no collection it is wholly below.
    """
    labelled = [one for one in evaluations if one.dataset != "probe"] or list(evaluations)
    differences = [_differences(one) for one in labelled]
    search = stratified_test(differences, seed)
    saved = (before - after) / before.mean()
    saved_ci95 = bootstrap_interval(saved, seed)
    saves = saved_ci95[0] > 0
    better = search.is_significant and search.difference > 0
    worse = [
        one.dataset
        for one, found in zip(labelled, differences, strict=True)
        if bootstrap_interval(found, seed)[1] < -margin
    ]
    safe = search.ci95[0] > -margin and not worse
    use: Literal["old", "new"] = "new" if safe and (saves or better) else "old"
    names = ", ".join(one.dataset for one in labelled)
    return Verdict(
        use=use,
        metric=METRIC,
        difference=search.difference,
        ci95=search.ci95,
        p=search.p,
        margin=margin,
        decided_by=names,
        saved=float(saved.mean()),
        saved_ci95=saved_ci95,
        sentence=_sentence(use, labelled, search, float(saved.mean()), saved_ci95, margin, safe, worse),
    )


def _differences(evaluation: Evaluation) -> np.ndarray:
    old, new = (evaluation.per_query[name][METRIC] for name in (OLD, NEW))
    return np.array([new[query] - old[query] for query in sorted(old)])


def _sentence(
    use: str,
    labelled: list[Evaluation],
    search: Paired,
    saved: float,
    saved_ci95: tuple[float, float],
    margin: float,
    safe: bool,
    worse: list[str],
) -> str:
    names = ", ".join(one.dataset for one in labelled)
    old, new = (float(np.mean([one.rows[name][METRIC].value for one in labelled])) for name in (OLD, NEW))
    low, high = search.ci95
    ends = saved_ci95 if saved >= 0 else (-saved_ci95[1], -saved_ci95[0])
    tokens = (
        f"texts have {abs(saved):.1%} {'fewer' if saved >= 0 else 'more'} tokens "
        f"(95% interval {ends[0]:.1%} to {ends[1]:.1%})"
    )
    quality = (
        f"{METRIC} on {names} goes from {old:.3f} to {new:.3f} ({search.difference:+.3f}, 95% interval {low:+.3f} to "
        f"{high:+.3f})"
    )
    if use == "new" and saved_ci95[0] <= 0:
        return f"Use the new tokenizer: {quality}, though {tokens}."
    if use == "new":
        return f"Use the new tokenizer: {tokens}, and {quality}, so it costs at most {margin:g} of it."
    if worse and len(labelled) > 1:
        harmed = ", ".join(worse)
        return f"Keep the old tokenizer: {quality}, and on {harmed} it is worse by more than {margin:g}; {tokens}."
    if not safe:
        costs = "costs" if worse else "may cost"
        return f"Keep the old tokenizer: {quality}, so it {costs} more than {margin:g}; {tokens}."
    return f"Keep the old tokenizer: nothing is gained, {tokens}, and {quality}."
