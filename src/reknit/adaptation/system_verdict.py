"""The verdict over whole search systems, in one sentence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from reknit.adaptation.candidate_systems import feedback_name
from reknit.adaptation.system_choice import CHEAPER, cheapest_as_good
from reknit.evaluation.significance import Paired
from reknit.report.facts import system_label
from reknit.runs.result import SystemVerdict

METRIC = "nDCG@10"


def system_verdict(
    best: str,
    have: str,
    gain: Paired,
    values: Mapping[str, Mapping[str, np.ndarray]],
    milliseconds: Mapping[str, float],
    seed: int,
) -> SystemVerdict:
    """best: the system that was chosen. gain: over `have`, on queries that did not choose. values: {collection that
    judges: {system: [queries] nDCG@10}}. milliseconds: of each system, a query.

    The best system is to be used only where it is significantly better than what the user has.
    """
    use = best if gain.is_significant and gain.difference > 0 else have
    cheapest = cheapest_as_good(list(values.values()), use, milliseconds, seed)
    return SystemVerdict(
        use=use,
        have=have,
        best=best,
        difference=gain.difference,
        ci95=gain.ci95,
        p=gain.p,
        cheapest=cheapest,
        decided_by=", ".join(values),
        sentence=_sentence(use, have, best, gain, values, cheapest, milliseconds),
    )


def with_a_second_search(verdict: SystemVerdict, *, possible: bool) -> SystemVerdict:
    """The same system, with feedback because the user says that queries have many answers. possible: whether it is of
    words and vectors."""
    if not possible:
        said = (
            f" There is no feedback for many answers: {system_label(verdict.use)} is not of words and vectors together."
        )
        return replace(verdict, sentence=verdict.sentence + said)
    said = (
        f" A second search by its first hits follows ({system_label(feedback_name(verdict.use))}), for queries have "
        "many answers here; the probe, with one answer a query, cannot judge that."
    )
    return replace(verdict, use=feedback_name(verdict.use), sentence=verdict.sentence + said)


def _sentence(
    use: str,
    have: str,
    best: str,
    gain: Paired,
    values: Mapping[str, Mapping[str, np.ndarray]],
    cheapest: str,
    milliseconds: Mapping[str, float],
) -> str:
    queries = sum(of[have].size for of in values.values())
    where = f"{METRIC} on {', '.join(values)}" if len(values) == 1 else f"mean {METRIC} over {', '.join(values)}"
    measured = f"({gain.in_words}, {queries} {'query' if queries == 1 else 'queries'})"
    yours = f"{system_label(have)}, which you have"
    if use != have:
        answer = f"Search with {system_label(use)}: a gain in {where} over {yours} {measured}."
    elif best == have:
        answer = f"Keep {yours}: no other system did significantly better in {where}."
    else:
        answer = f"Keep {yours}: {system_label(best)} is not significantly better in {where} {measured}."
    if cheapest == use:
        cheaper = min(milliseconds.values()) < CHEAPER * milliseconds[use]
        return f"{answer} No system that takes a fifth less time is as good." if cheaper else answer
    took = f"{milliseconds[cheapest]:.1f} ms a query, not {milliseconds[use]:.1f}"
    return f"{answer} The cheapest system that is not significantly worse is {system_label(cheapest)} ({took})."
