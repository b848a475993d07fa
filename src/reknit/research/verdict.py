"""What the values of a check's arms say: of its control, its pairs, its bounds, and of the claim."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from statistics import mean
from typing import Any, Literal

from reknit.claim import EVERY_MEASURE, Bound, ClaimCheck, Pair
from reknit.errors import ReknitError
from reknit.research.statistics import Interval, paired_interval

Answer = Literal["holds", "does not hold", "undecided"]
Verdict = Literal["holds", "does not hold", "undecided", "blind"]

Values = Mapping[str, Mapping[str, Sequence[float | None]]]
"""{arm: {measure: [seeds]}}, the seeds in the same order everywhere."""

NOT_MEASURED = "control not measured"

LowerIsBetter = Callable[[str], bool]
"""Of a measure's label: whether smaller values are the better ones."""


def judge_check(
    check: ClaimCheck, controls: Sequence[Pair], values: Values, lower_is_better: LowerIsBetter
) -> dict[str, Any]:
    """The verdict of a check, why it is blind where it is, and what each of its parts came to, as plain data.

    controls: the pairs that must be seen. A claim is blind where one is not seen, or where it rests on pairs and
    there is no control: the instrument was not shown to see. Bounds alone (exactness, bytes) need none. Raises
    ReknitError for a measure that the values do not have.
    """
    seen = [judge_control(pair, values, lower_is_better) for pair in controls]
    pairs = [judge_pair(pair, values, lower_is_better) | {"asked": "better"} for pair in check.better]
    pairs += [
        judge_pair(pair, values, lower_is_better, no_worse=True) | {"asked": "no worse"} for pair in check.no_worse
    ]
    bounds = [judge_bound(bound, values) for bound in check.bounds]
    reason = blindness(check, seen)
    answers = [part["answer"] for part in (*pairs, *bounds)]
    return {
        "verdict": "blind" if reason else overall(answers),
        "reason": reason,
        "control": None if not seen else seen[0] | {"further": [control for control in seen[1:] if control["applies"]]},
        "pairs": pairs,
        "bounds": bounds,
    }


def shown_verdict(record: Mapping[str, Any]) -> str:
    """A record's verdict, and what it is about where that is not the whole claim: "holds (mechanism)".

    One from before there were controls is blind.
    """
    if "control" not in record:
        return "blind"
    verdict, measures = record["verdict"], record["measures"]
    return verdict if verdict == "blind" or measures == "claim" else f"{verdict} ({measures})"


def overall(answers: Sequence[Answer]) -> Answer:
    """A claim of several parts holds when all do, and does not when one does not."""
    if "does not hold" in answers:
        return "does not hold"
    return "holds" if all(answer == "holds" for answer in answers) else "undecided"


def blindness(check: ClaimCheck, seen: Sequence[Mapping[str, Any]]) -> str:
    """Why no verdict can be given: what was judged of the controls; "" where one can."""
    if not seen:
        return "no control is named" if check.pairs else ""
    if not seen[0]["applies"]:
        return NOT_MEASURED
    for control in (control for control in seen if control["applies"]):
        if control["difference"] is None:
            return NOT_MEASURED
        if not control["seen"]:
            pair, ends = control["pair"], control["ci95"]
            interval = "without an interval" if ends is None else f"[{ends[0]:+.3f}, {ends[1]:+.3f}]"
            measure = "the mean of all measures" if pair["measure"] == EVERY_MEASURE else pair["measure"]
            return (
                f"control not seen: {pair['first']} minus {pair['second']} by {measure} is "
                f"{control['difference']:+.3f} {interval}"
            )
    return ""


def judge_control(pair: Pair, values: Values, lower_is_better: LowerIsBetter) -> dict[str, Any]:
    """Whether a difference that must be there was seen: its 95% interval excludes zero on the right side.

    It does not apply where the first arm cannot have the measure at all (no language model, so no loss of one). An arm
    that is not among the values was not measured.
    """
    judged = {"pair": asdict(pair), "applies": True, "seen": False, "difference": None, "ci95": None}
    if not {pair.first, pair.second} <= set(values):
        return judged
    first, second = (_measured(values, arm, pair.measure) for arm in (pair.first, pair.second))
    if first and all(value is None for value in first):
        return judged | {"applies": False}
    if None in (*first, *second):
        return judged
    found = judge_pair(pair, values, lower_is_better)
    return judged | {"seen": found["answer"] == "holds", "difference": found["difference"], "ci95": found["ci95"]}


def judge_pair(pair: Pair, values: Values, lower_is_better: LowerIsBetter, *, no_worse: bool = False) -> dict[str, Any]:
    """The difference of the two arms, first minus second, seed by seed, and what its interval answers."""
    difference = paired_interval(*(numbers(values, arm, pair, lower_is_better) for arm in (pair.first, pair.second)))
    lower = pair.measure != EVERY_MEASURE and lower_is_better(pair.measure)
    answer = answer_of(difference, pair, lower_is_better=lower, no_worse=no_worse)
    return {
        **asdict(pair),
        "asked": "no worse" if no_worse else "better",
        "lower_is_better": lower,
        "difference": difference.mean,
        "ci95": difference.to_json()["ci95"],
        "answer": answer,
    }


def answer_of(difference: Interval, pair: Pair, *, lower_is_better: bool = False, no_worse: bool = False) -> Answer:
    """What a paired difference says of "better" (by `at_least`) or "no worse" (by `margin`): its whole interval."""
    if difference.ci95 is None:
        return "undecided"
    low, high = difference.ci95
    if lower_is_better:
        low, high = -high, -low
    if no_worse:
        if low >= -pair.margin:
            return "holds"
        return "does not hold" if high < -pair.margin else "undecided"
    if low > 0.0 and low >= pair.at_least:
        return "holds"
    # Arms that are equal with every seed are not better.
    return "does not hold" if high <= 0.0 or high < pair.at_least else "undecided"


def judge_bound(bound: Bound, values: Values) -> dict[str, Any]:
    """Whether the measure stays at or below the bound with every seed; what is not a number does not."""
    found = _numbers(values, bound.arm, bound.measure)
    kept = all(value <= bound.at_most for value in found)
    return {**asdict(bound), "values": found, "answer": "holds" if kept else "does not hold"}


def numbers(values: Values, arm: str, pair: Pair, lower_is_better: LowerIsBetter) -> list[float]:
    """[seeds] of one arm of a pair; of `EVERY_MEASURE` the means of what both arms have with every seed.

    Raises ReknitError where a seed has no value.
    """
    if pair.measure != EVERY_MEASURE:
        return _numbers(values, arm, pair.measure)
    labels = [
        label
        for label in values[pair.first]
        if not lower_is_better(label)
        and all(None not in values[side].get(label, [None]) for side in (pair.first, pair.second))
    ]
    if not labels:
        raise ReknitError(f"{pair.first} and {pair.second} have no measure in common that is better when higher")
    return [mean(at_seed) for at_seed in zip(*(_numbers(values, arm, label) for label in labels), strict=True)]


def _numbers(values: Values, arm: str, measure: str) -> list[float]:
    found = [value for value in _measured(values, arm, measure) if value is not None]
    if len(found) < len(values[arm][measure]):
        raise ReknitError(f"{arm} has no value of {measure!r}")
    return found


def _measured(values: Values, arm: str, measure: str) -> Sequence[float | None]:
    """[seeds] of one arm, none of `EVERY_MEASURE`. Raises ReknitError where the arm is not measured by it."""
    if measure == EVERY_MEASURE:
        return ()
    if measure not in values[arm]:
        raise ReknitError(f"{arm} is not measured by {measure!r}; it has {', '.join(values[arm])}")
    return values[arm][measure]
