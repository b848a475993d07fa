"""The records of claims in the repository: in today's form, judged by today's rules, and shown as they are."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

from reknit import catalogue
from reknit.jobs.files import read_json
from reknit.research.claim_table import findings
from reknit.research.listing import record_path
from reknit.research.verdict import Verdict

ROOT = Path(__file__).parents[2]
RECORDS = sorted((ROOT / "records" / "claims").glob("*.json"))


@pytest.fixture(autouse=True)
def _benchmarks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))


@pytest.mark.parametrize("path", RECORDS, ids=[path.stem for path in RECORDS])
def test_every_record_has_what_a_reader_needs(path: Path) -> None:
    record = read_json(path)
    assert path == record_path(record["name"], record["size"], path.parent)
    assert record["name"] in catalogue.systems()
    assert record["verdict"] in get_args(Verdict)
    assert (record["verdict"] == "blind") == bool(record["reason"])
    needed = {"claim", "measures", "control", "pairs", "bounds", "seeds", "budget", "runs", "seconds"}
    assert needed | {"machine", "versions", "date", "command"} <= record.keys()
    assert {run["seed"] for run in record["runs"]} == set(range(record["seeds"]))
    if record["verdict"] == "blind":
        told = " ".join(findings(record))
        assert not any(f": {answer}" in told for answer in ("holds", "does not hold", "undecided"))
    if record["verdict"] != "blind" and record["pairs"]:
        assert record["control"]["seen"]
        assert all(control["seen"] for control in record["control"]["further"])


def old_record(*arms: str) -> dict:
    """A record of the first form in which mlm is .1 better than slm, and untrained, if it is there, .1 better still."""
    effects = {"mlm": 0.5, "slm": 0.4, "untrained": 0.6}
    runs = [
        {
            "arm": arm,
            "seed": seed,
            "values": {"x accuracy": effects[arm] + seed / 100},
            "training": {"tokens": 5, "flops": 7.0, "seconds": 1.0},
            "tuning": {"seconds": 2.0},
            "curve": [],
        }
        for arm in arms
        for seed in range(3)
    ]
    difference = {"mean": 0.1, "ci95": [0.1, 0.1]}
    pair = {
        "better": "mlm",
        "other": "slm",
        "metric": "all",
        "margin": 0.0,
        "difference": difference,
        "answer": "holds",
    }
    return {
        "name": "slm",
        "claim": "a claim",
        "verdict": "holds",
        "pairs": [pair, pair | {"better": "slm", "other": "mlm", "margin": 0.005}],
        "needs": "",
        "arms": list(arms),
        "runs": runs,
        "seeds": 3,
        "summary": {arm: {"spent": {"tokens": 5}} for arm in arms},
        "config": {"budget": {"tokens": 5, "flops": None, "seconds": None}},
        "corpus": {},
        **dict.fromkeys(("machine", "versions", "date", "command")),
    }


def test_a_record_without_a_control_is_blind_and_keeps_what_it_said() -> None:
    from judge_records import judge_anew

    found = judge_anew(old_record("mlm", "slm"))
    assert (found["verdict"], found["reason"]) == ("blind", "control not measured")
    assert (found["verdict_before"], found["size"], found["budget"]) == ("holds", "small", "5tok")
    assert [pair["answer"] for pair in found["pairs"]] == ["holds", "does not hold"], "in today's words"
    assert [pair["asked"] for pair in found["pairs"]] == ["better", "no worse"]
    assert found["runs"][0]["spent"] == {"tokens": 5, "flops": 7.0, "seconds": 1.0}
    assert found["seconds"] == 6 * 3.0


def test_a_record_whose_control_was_measured_is_judged_by_it() -> None:
    from judge_records import judge_anew

    found = judge_anew(old_record("mlm", "slm", "untrained"))
    assert found["verdict"] == "blind"
    assert found["reason"].startswith("control not seen: slm minus untrained by the mean of all measures is -0.200")


def test_the_page_about_objectives_is_made_from_the_records() -> None:
    import objectives_page

    page = objectives_page.PAGE.read_text(encoding="utf-8")
    assert page == objectives_page.page()
    assert page.splitlines()[2].startswith("**This page cannot show which objective is best.**")


def test_the_catalogue_shows_no_finding_of_a_blind_claim() -> None:
    import catalogue_page

    decided, _, blind = catalogue_page.page().partition("## Blind")
    for path in RECORDS:
        record = read_json(path)
        if record["verdict"] == "blind":
            assert f"### {record['name']}:" not in decided
            assert record["reason"] in blind or record["size"] == "small"
