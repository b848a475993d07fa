"""`reknit claim`: does what a paper says hold here, at equal budget, over several seeds?"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from reknit import catalogue
from reknit.errors import ReknitError
from reknit.recipe import ClaimCheck
from reknit.research.comparison import common_labels, compare, measured
from reknit.research.config import EVERY_MEASURE
from reknit.research.statistics import Interval, paired_interval
from reknit.training.config import to_json
from reknit.training.files import check_json_path, write_json

Answer = Literal["holds", "holds not", "undecided at this scale"]


def check_claim(
    name: str,
    data: str | Path,
    out: str | Path,
    *,
    seeds: int = 3,
    budget: str | None = None,
    json_file: Path | None = None,
    resume: bool = False,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Measure the claim on recipe `name`'s card; returns what `json_file` holds.

    data: the folder in which the check's corpus and labelled folders lie. out: where the comparison is made. budget: of
    each training, the check's own when None. Raises ReknitError for a recipe whose claim has no check, fewer than three
    seeds, missing data, and as `compare` does.
    """
    recipe = catalogue.find(name)
    check = recipe.check
    if check is None:
        raise ReknitError(f"the claim of {name} has no check yet; those that have: {', '.join(checked_recipes())}")
    if seeds < 3:
        raise ReknitError(f"--seeds is {seeds}: a claim needs three at least")
    check_json_path(json_file)
    data = Path(data)
    missing = [place for place in (check.corpus, *check.eval) if not (data / place).exists()]
    if missing:
        raise ReknitError(f"{data} has no {missing[0]}: name the folder that holds the data sets with --data")
    result = compare(
        arms_of(check),
        data / check.corpus,
        out,
        budget=budget or check.budget,
        eval=[data / place for place in check.eval],
        seeds=seeds,
        settings=check.settings,
        resume=resume,
        overwrite=overwrite,
    )
    pairs = [_judged(result, check, better, other) for better, other in check.better]
    record = {
        "name": name,
        "claim": recipe.card.claim,
        "verdict": overall([pair["answer"] for pair in pairs]),
        "pairs": pairs,
        "needs": check.needs,
        "check": to_json(check),
        **result,
    }
    if json_file is not None:
        write_json(json_file, record)
    return record


def checked_recipes() -> list[str]:
    """The recipes whose claims can be checked."""
    return [name for name, recipe in catalogue.recipes().items() if recipe.check is not None]


def arms_of(check: ClaimCheck) -> list[str]:
    """Every arm once; first what is expected to be worst, so that the others are compared with it."""
    named = [arm for pair in reversed(check.better) for arm in reversed(pair)]
    return list(dict.fromkeys(named))


def judge(difference: Interval, margin: float = 0.0) -> Answer:
    """What a paired difference says of "the first is better" ("no worse" by a margin): its whole interval decides."""
    if difference.ci95 is not None:
        low, high = difference.ci95
        if low > -margin:
            return "holds"
        if high < -margin:
            return "holds not"
    return "undecided at this scale"


def overall(answers: list[Answer]) -> Answer:
    """A claim of several parts holds when all do, and does not when one does not."""
    if "holds not" in answers:
        return "holds not"
    return "holds" if all(answer == "holds" for answer in answers) else "undecided at this scale"


def _judged(result: dict[str, Any], check: ClaimCheck, better: str, other: str) -> dict[str, Any]:
    difference = paired_interval(_values(result, check.metric, better), _values(result, check.metric, other))
    return {
        "better": better,
        "other": other,
        "metric": check.metric,
        "margin": check.margin,
        "difference": difference.to_json(),
        "answer": judge(difference, check.margin),
    }


def _values(result: dict[str, Any], metric: str, arm: str) -> list[float]:
    """[seeds] of one arm."""
    common = common_labels(result["runs"])
    if metric not in (EVERY_MEASURE, *common):
        raise ReknitError(f"not every arm has the measure {metric!r}; all have {', '.join(common)}")
    return [value for value in measured(result["runs"], arm, metric) if value is not None]
