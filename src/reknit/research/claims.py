"""`reknit claim`: does what a paper says hold here, at equal budget, over several seeds?"""

from __future__ import annotations

import json
import shlex
import zlib
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import Any, Literal

from reknit import catalogue
from reknit.claim import CLAIM_SIZES, ClaimCheck
from reknit.errors import ReknitError
from reknit.evaluation.measures import lower_is_better
from reknit.jobs.files import check_json_path, write_json
from reknit.research.comparison import common_labels, compare, measured, part_of
from reknit.research.listing import record_path
from reknit.research.pretraining.config import EVERY_MEASURE
from reknit.research.pretraining.folder import ComparisonFolder
from reknit.research.statistics import Interval, paired_interval
from reknit.runs.config import to_json

Answer = Literal["holds", "holds not", "undecided at this scale"]


def check_claims(
    names: Sequence[str],
    data: str | Path,
    out: str | Path,
    *,
    size: str = "small",
    seeds: int = 3,
    budget: str | None = None,
    records: Path | None = None,
    processes: int = 1,
    overwrite: bool = False,
) -> list[dict[str, Any]]:
    """Measure the claims on the cards of recipes, and return their records, which are also written to `records`.

    Claims that are measured alike (same corpus, measures and settings) share a comparison, in a folder of its own in
    `out`: an arm of several claims is trained once, and a comparison that is there is gone on with, or made anew with
    `overwrite`. data: the folder in which the checks' corpora and labelled folders lie. size: one of CLAIM_SIZES.
    budget: of each training, the size's own when None. processes: trainings at a time. Raises ReknitError for a recipe
    whose claim has no check, an unknown size, fewer than three seeds, missing data, and as `compare` does.
    """
    if size not in CLAIM_SIZES:
        raise ReknitError(f"--size is {size!r}: choose one of {', '.join(CLAIM_SIZES)}")
    if seeds < 3:
        raise ReknitError(f"--seeds is {seeds}: a claim needs three at least")
    checks = {name: _check_of(name) for name in names}
    data, budget = Path(data), budget or CLAIM_SIZES[size].budget
    missing = [
        place for check in checks.values() for place in (check.corpus, *check.eval) if not (data / place).exists()
    ]
    if missing:
        raise ReknitError(f"{data} has no {missing[0]}: name the folder that holds the data sets with --data")
    files = {name: None if records is None else record_path(name, size, records) for name in checks}
    for file in files.values():
        check_json_path(file)
    alike: dict[str, list[str]] = {}
    for name, check in checks.items():
        alike.setdefault(_group(check, size, budget), []).append(name)
    found = {}
    for group, members in alike.items():
        first, folder = checks[members[0]], Path(out) / group
        result = compare(
            list(dict.fromkeys(chain.from_iterable(arms_of(checks[name]) for name in members))),
            data / first.corpus,
            folder,
            budget=budget,
            eval=[data / place for place in first.eval],
            seeds=seeds,
            settings=(*CLAIM_SIZES[size].settings, *first.settings),
            resume=not overwrite and ComparisonFolder(folder).is_taken(),
            overwrite=overwrite,
            processes=processes,
        )
        for name in members:
            command = ["reknit", "claim", name, "--size", size, "--seeds", str(seeds), "--budget", budget]
            found[name] = _record(name, checks[name], result) | {"size": size, "command": shlex.join(command)}
            if (file := files[name]) is not None:
                write_json(file, found[name])
    return [found[name] for name in names]


def checked_recipes() -> list[str]:
    """The recipes whose claims can be checked."""
    return [name for name, recipe in catalogue.recipes().items() if recipe.check is not None]


def arms_of(check: ClaimCheck) -> list[str]:
    """Every arm once; first what is expected to be worst, so that the others are compared with it."""
    named = [arm for pair in reversed(check.better + check.no_worse) for arm in reversed(pair)]
    return list(dict.fromkeys(named))


def judge(difference: Interval, margin: float = 0.0, *, lower_is_better: bool = False) -> Answer:
    """What a paired difference says of "the first is better" ("no worse" by a margin): its whole interval decides."""
    if difference.ci95 is not None:
        low, high = difference.ci95
        if lower_is_better:
            low, high = -high, -low
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


def _check_of(name: str) -> ClaimCheck:
    check = catalogue.find(name).check
    if check is None:
        raise ReknitError(f"the claim of {name} has no check yet; those that have: {', '.join(checked_recipes())}")
    return check


def _group(check: ClaimCheck, size: str, budget: str) -> str:
    """The name of the comparison that a check belongs to: the same for those that are measured alike."""
    alike = json.dumps([budget, CLAIM_SIZES[size].settings, check.corpus, check.eval, check.settings])
    return f"{size}-{zlib.crc32(alike.encode()):08x}"


def _record(name: str, check: ClaimCheck, result: dict[str, Any]) -> dict[str, Any]:
    part = part_of(result, arms_of(check))
    pairs = [_judged(part, check, *pair, margin=0.0) for pair in check.better]
    pairs += [_judged(part, check, *pair, margin=check.margin) for pair in check.no_worse]
    return {
        "name": name,
        "claim": catalogue.find(name).card.claim,
        "verdict": overall([pair["answer"] for pair in pairs]),
        "pairs": pairs,
        "needs": check.needs,
        "check": to_json(check),
        **part,
    }


def _judged(result: dict[str, Any], check: ClaimCheck, better: str, other: str, *, margin: float) -> dict[str, Any]:
    difference = paired_interval(_values(result, check.metric, better), _values(result, check.metric, other))
    return {
        "better": better,
        "other": other,
        "metric": check.metric,
        "margin": margin,
        "difference": difference.to_json(),
        "answer": judge(difference, margin, lower_is_better=lower_is_better(check.metric)),
    }


def _values(result: dict[str, Any], metric: str, arm: str) -> list[float]:
    """[seeds] of one arm."""
    common = common_labels(result["runs"])
    if metric not in (EVERY_MEASURE, *common):
        raise ReknitError(f"not every arm has the measure {metric!r}; all have {', '.join(common)}")
    return [value for value in measured(result["runs"], arm, metric) if value is not None]
