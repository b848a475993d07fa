"""A budget of time covers the whole of `reknit adapt`; --dry-run shows how it would be spent."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_line import read_result, reknit

# Of the pseudo-queries a part is seen, which takes seconds.
TIMED = ("--budget", "90s", "--set", "tune.data.teacher.epochs=0.2")


@pytest.fixture(scope="module")
def run(corpus: Path, finished_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("timed") / "run"
    reknit("adapt", corpus, "--out", made, "--start", finished_run / "model", *TIMED).succeeded()
    return made


def test_the_plan_fills_the_budget_and_training_follows_it(run: Path) -> None:
    data = run / "checkpoints" / "data"
    plan = json.loads((data / "plan.json").read_text())
    assert sum(plan["parts"].values()) == pytest.approx(90.0, abs=0.01)
    assert next(iter(plan["parts"])) == "read"
    assert "plan: read 0:00:" in (run / "train.log").read_text()
    seconds = json.loads((data / "training-time.json").read_text())["seconds"]
    assert 0 < seconds < 90
    assert read_result(run)["training"]["phases"][0]["stopped_because"] == "all 2 steps made"


def test_a_resume_follows_the_same_plan(run: Path, corpus: Path, finished_run: Path) -> None:
    data = run / "checkpoints" / "data"
    before = [(data / name).read_bytes() for name in ("plan.json", "training-time.json")]
    (run / "result.json").unlink()
    words = ("adapt", corpus, "--out", run, "--start", finished_run / "model", *TIMED, "--resume")
    reknit(*words).succeeded()
    assert [(data / name).read_bytes() for name in ("plan.json", "training-time.json")] == before


def test_a_dry_run_writes_nothing(corpus: Path, finished_run: Path, tmp_path: Path) -> None:
    words = ("adapt", corpus, "--out", tmp_path / "run", "--start", finished_run / "model", "--budget", "2m")
    out = reknit(*words, "--dry-run").succeeded().out
    assert not (tmp_path / "run").exists()
    lines = out.splitlines()
    assert lines[0].startswith("corpus: 60 documents, ")
    assert "languages: " in lines[0]
    assert " passages/s" in lines[1]
    assert lines[2].startswith("samples: the teacher ranks 100% of the passages for ")
    assert any(line.startswith("train ") for line in lines)
    assert any(line.split() == ["in", "all", "0:02:00"] for line in lines)


def test_a_budget_that_is_too_short_is_said_first(corpus: Path, finished_run: Path, tmp_path: Path) -> None:
    words = ("adapt", corpus, "--out", tmp_path / "run", "--start", finished_run / "model", "--budget", "3s")
    found = reknit(*words, "--dry-run").succeeded()
    assert "the budget of 0:00:03 is too short for this corpus" in found.out.splitlines()[-1]
    assert "the least budget here is 0:00:" in found.out


def test_a_dry_run_goes_with_no_other_way_to_begin(corpus: Path, tmp_path: Path) -> None:
    for option in ("--resume", "--overwrite"):
        complaint = reknit("adapt", corpus, "--out", tmp_path / "run", "--dry-run", option).complaint()
        assert complaint == "--dry-run writes nothing: leave --resume and --overwrite out"


def test_a_dry_run_from_scratch_needs_no_teacher(corpus: Path, tmp_path: Path) -> None:
    words = ("adapt", corpus, "--out", tmp_path / "run", "--start", "scratch", "--budget", "2m")
    out = reknit(*words, "--dry-run").succeeded().out
    assert "samples: the probe has " in out
    assert "teach" not in out
