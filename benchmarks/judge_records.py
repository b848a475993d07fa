"""Judge the records of claims that were measured before there were controls, by today's rules.

    python benchmarks/judge_records.py

Every record in records/claims that has no control is written again: its runs and what they spent stay as they are, its
pairs are judged anew from them, and the verdict is "blind" unless the record has the values of the control. The
verdict of before is kept as `verdict_before`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from reknit import catalogue
from reknit.claim import ClaimCheck, Pair
from reknit.jobs.files import read_json, write_json
from reknit.recipe import BudgetSpec
from reknit.research.pretraining.config import LOSS
from reknit.research.pretraining.experiment import PretrainingExperiment
from reknit.research.verdict import Values, judge_check
from reknit.training.budget import format_budget

CLAIMS = Path(__file__).parents[1] / "records" / "claims"


def main() -> None:
    for path in sorted(CLAIMS.glob("*.json")):
        record = read_json(path)
        if "control" not in record:
            write_json(path, judge_anew(record))
            print(f"{path.name}: {record['verdict']} -> {read_json(path)['verdict']}")


def judge_anew(record: dict[str, Any]) -> dict[str, Any]:
    """A record of the first form in today's, its verdict by today's rules."""
    experiment = PretrainingExperiment()
    check = check_of(record)
    system = catalogue.find_system(record["name"])
    assert system.check is not None, "what was measured has a check"
    return {
        "name": record["name"],
        "size": record.get("size", "small"),
        "claim": record["claim"],
        **judge_check(check, experiment.controls(check.pairs), values_of(record), experiment.lower_is_better),
        "verdict_before": record["verdict"],
        "judged_by": "benchmarks/judge_records.py",
        "measures": system.check.measures,
        "second_arm": "",
        "needs": record["needs"],
        "start": "",
        "seeds": record["seeds"],
        "experiment": {"kind": "PretrainingExperiment", "config": record["config"], "corpus": record["corpus"]},
        "budget": format_budget(BudgetSpec(**record["config"]["budget"])),
        "arms": {arm: {"spent": found["spent"]} for arm, found in record["summary"].items()},
        "seconds": sum(run["seconds"] for run in map(in_todays_form, record["runs"])),
        "runs": [in_todays_form(run) for run in record["runs"]],
        **{name: record[name] for name in ("machine", "versions", "date", "command")},
    }


def check_of(record: dict[str, Any]) -> ClaimCheck:
    """What was asked then: a pair with a margin was to be no worse."""
    pairs = [Pair(pair["better"], pair["other"], pair["metric"], margin=pair["margin"]) for pair in record["pairs"]]
    return ClaimCheck(
        better=tuple(pair for pair in pairs if not pair.margin), no_worse=tuple(pair for pair in pairs if pair.margin)
    )


def values_of(record: dict[str, Any]) -> Values:
    """{arm: {measure: [seeds]}}; the loss that a training ended at was not kept."""
    runs = sorted(record["runs"], key=lambda run: run["seed"])
    found: dict[str, dict[str, list[float | None]]] = {arm: {LOSS: []} for arm in record["arms"]}
    for run in runs:
        for label, value in {**run["values"], LOSS: None}.items():
            found[run["arm"]].setdefault(label, []).append(value)
    return found


def in_todays_form(run: dict[str, Any]) -> dict[str, Any]:
    """A run with what it spent in training, and the seconds of training and tuning; nothing of it is left out."""
    spent = {unit: run["training"][unit] for unit in ("tokens", "flops", "seconds")}
    seconds = spent["seconds"] + (run["tuning"]["seconds"] if run["tuning"] else 0.0)
    return {**run, "spent": spent, "seconds": seconds}


if __name__ == "__main__":
    main()
