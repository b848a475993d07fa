"""The verdict over whole search systems, in one sentence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from reknit.adaptation.system_choice import CHEAPER, cheapest_as_good
from reknit.adaptation.verdict import numbers
from reknit.evaluation.significance import Paired
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


def shown(system: str) -> str:
    """A system's name in a sentence: "BM25 + start"."""
    return " + ".join("BM25" if side == "bm25" else side.replace("_", " ") for side in system.split("+"))


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
    measured = f"({numbers(gain)}, {queries} {'query' if queries == 1 else 'queries'})"
    if use != have:
        answer = f"Search with {shown(use)}: a gain in {where} over {shown(have)}, which you have {measured}."
    elif best == have:
        answer = f"Keep {shown(have)}, which you have: no other system did significantly better in {where}."
    else:
        answer = f"Keep {shown(have)}, which you have: {shown(best)} is not significantly better in {where} {measured}."
    if cheapest == use:
        cheaper = min(milliseconds.values()) < CHEAPER * milliseconds[use]
        return f"{answer} No system that takes a fifth less time is as good." if cheaper else answer
    took = f"{milliseconds[cheapest]:.1f} ms a query, not {milliseconds[use]:.1f}"
    return f"{answer} The cheapest system that is not significantly worse is {shown(cheapest)} ({took})."


def gain_on(values: Sequence[Mapping[str, np.ndarray]], best: str, have: str) -> list[np.ndarray]:
    """Of each collection the [queries] differences of the two systems."""
    return [of[best] - of[have] for of in values]
