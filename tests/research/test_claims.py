"""Claims of any experiment, on one that trains nothing: whole, stopped and resumed, and refused."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from toy_experiment import CHECK, ToyExperiment, calls, toy_data, toy_system
from typer.testing import CliRunner

from reknit import catalogue
from reknit.claim import Bound, ClaimCheck, Experiment, Pair
from reknit.cli.main import app
from reknit.errors import ReknitError
from reknit.jobs.interrupt import Interrupted
from reknit.research.claims import check_claims, plan_claim
from reknit.research.forecast import forecast

ARMS = ["0", "trained=1", "0.5", "0.9", "0.52"]


@pytest.fixture
def listed(monkeypatch: pytest.MonkeyPatch):
    """A function that puts systems with these checks into the catalogue, by name."""

    def put(**checks: ClaimCheck | None) -> None:
        found = {name: toy_system(check, name) for name, check in checks.items()}
        monkeypatch.setattr(catalogue, "systems", lambda package="reknit_recipes": found)

    return put


def test_a_whole_claim_by_the_command_line(tmp_path: Path, listed) -> None:
    listed(toy=CHECK)
    words = ["claim", "toy", "--data", str(toy_data(tmp_path / "data")), "--out", str(tmp_path / "out")]
    ended = CliRunner().invoke(app, [*words, "--records", str(tmp_path)])
    assert ended.exit_code == 0, ended.output
    record = json.loads((tmp_path / "toy.json").read_text())
    for shown in ("control: trained=1 better than 0 (score +", ": seen", "Verdict: holds (mechanism). A larger toy."):
        assert shown in ended.output
    assert (record["name"], record["size"], record["verdict"], record["measures"]) == (
        "toy",
        "small",
        "holds",
        "mechanism",
    )
    assert record["control"]["pair"] == {
        "first": "trained=1",
        "second": "0",
        "measure": "score",
        "at_least": 0.0,
        "margin": 0.0,
    }
    assert record["control"]["seen"]
    assert [(run["arm"], run["seed"]) for run in record["runs"]] == [(arm, seed) for seed in range(3) for arm in ARMS]
    by_arm = {arm: [run["values"]["score"] for run in record["runs"] if run["arm"] == arm] for arm in ARMS}
    for pair in (pair for pair in record["pairs"] if pair["measure"] == "score"):
        ours, others = by_arm[pair["first"]], by_arm[pair["second"]]
        assert pair["difference"] == pytest.approx(sum(ours) / 3 - sum(others) / 3)
        assert pair["ci95"][0] < pair["difference"] < pair["ci95"][1]
    assert record["bounds"] == [
        {"arm": "0.9", "measure": "error", "at_most": 1e-5, "values": [0.0] * 3, "answer": "holds"}
    ]
    assert record["arms"]["0.9"]["spent"] == pytest.approx({"tokens": 10.0, "seconds": 0.1})
    assert record["experiment"] == {"kind": "ToyExperiment", "noise": 0.1, "scale": 1.0, "hangs": ""}
    assert record["command"] == "reknit claim toy --size small --seeds 3"
    assert {"machine", "versions", "date", "seconds", "budget", "second_arm", "start"} <= record.keys()


def test_a_larger_size_is_another_record_in_another_folder(tmp_path: Path, listed) -> None:
    listed(toy=CHECK)
    data, out, records = toy_data(tmp_path / "data"), tmp_path / "out", tmp_path / "records"
    (small,) = check_claims(["toy"], data, out, records=records)
    (large,) = check_claims(["toy"], data, out, size="large", records=records)
    assert {path.name for path in records.iterdir()} == {"toy.json", "toy-large.json"}
    assert large["control"]["difference"] == pytest.approx(2 * small["control"]["difference"], rel=0.1)
    assert len(list(out.iterdir())) == 2


def test_what_was_stopped_is_gone_on_with(tmp_path: Path, listed, monkeypatch: pytest.MonkeyPatch) -> None:
    listed(toy=CHECK)
    data, out = toy_data(tmp_path / "data"), tmp_path / "out"
    (whole,) = check_claims(["toy"], data, tmp_path / "other")
    run, made = ToyExperiment.run, []

    def stopped(self: ToyExperiment, *given: object) -> object:
        if len(made) == 7:
            raise KeyboardInterrupt
        made.append(given)
        return run(self, *given)

    monkeypatch.setattr(ToyExperiment, "run", stopped)
    with pytest.raises(Interrupted):
        check_claims(["toy"], data, out)
    assert len(calls(out)) == 7
    monkeypatch.setattr(ToyExperiment, "run", run)
    (record,) = check_claims(["toy"], data, out)
    assert sorted(calls(out)) == sorted(calls(tmp_path / "other")), "nothing was run twice"
    for part in ("control", "pairs", "bounds", "verdict"):
        assert record[part] == whole[part]
    # More seeds keep what is there; all anew runs all again.
    check_claims(["toy"], data, out, seeds=4)
    assert len(calls(out)) == 4 * len(ARMS)
    check_claims(["toy"], data, out, overwrite=True)
    assert len(calls(out)) == 3 * len(ARMS)


PROGRAM = """
import sys
from pathlib import Path
from toy_experiment import CHECK, ToyExperiment, toy_system
from dataclasses import replace
from reknit import catalogue
found = {"toy": toy_system(replace(CHECK, experiment=ToyExperiment(hangs=sys.argv[3])))}
catalogue.systems = lambda package="": found
from reknit.research.claims import check_claims
check_claims(["toy"], sys.argv[1], sys.argv[2], processes=int(sys.argv[4]))
"""


@pytest.mark.parametrize("processes", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_a_kill_between_outcomes_costs_only_the_one_that_was_made(tmp_path: Path, listed, processes: int) -> None:
    data, out = toy_data(tmp_path / "data"), tmp_path / "out"
    command = [sys.executable, "-c", PROGRAM, str(data), str(out), "0.5", str(processes)]
    paths = os.pathsep.join(sys.path)
    with subprocess.Popen(command, env=os.environ | {"PYTHONPATH": paths}, start_new_session=True) as process:
        while process.poll() is None and "0.5 0" not in calls(out):
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGKILL)
    before = {path: path.read_bytes() for path in out.rglob("seed-*.json")}
    assert len(before) >= 2, "the arms before the one that hangs"
    # The same experiment but that it does not hang any more.
    hangs = ToyExperiment(hangs="0.5")
    listed(toy=replace(CHECK, experiment=hangs))
    run = ToyExperiment.run
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ToyExperiment, "run", lambda self, *given: run(replace(self, hangs=""), *given))
        (record,) = check_claims(["toy"], data, out)
    assert {path: path.read_bytes() for path in before} == before
    (whole,) = check_claims_of(ToyExperiment(), data, tmp_path / "other", listed)
    assert record["pairs"] == whole["pairs"]


def check_claims_of(experiment: Experiment, data: Path, out: Path, listed) -> list[dict]:
    listed(toy=replace(CHECK, experiment=experiment))
    return check_claims(["toy"], data, out)


def test_processes_of_their_own_come_to_the_same(tmp_path: Path, listed) -> None:
    listed(toy=CHECK)
    data = toy_data(tmp_path / "data")
    (alone,) = check_claims(["toy"], data, tmp_path / "alone")
    (together,) = check_claims(["toy"], data, tmp_path / "together", processes=2)
    assert [run["values"] for run in together["runs"]] == [run["values"] for run in alone["runs"]]
    assert "seed 2, 0.52" in "".join(log.read_text() for log in (tmp_path / "together").rglob("logs/*"))


def test_claims_that_are_measured_alike_share_their_trainings(tmp_path: Path, listed) -> None:
    more = replace(CHECK, better=(Pair("0.7", "0.5", "score"),), no_worse=(), bounds=())
    other = replace(more, experiment=ToyExperiment(noise=0.2))
    listed(one=CHECK, two=more, three=other)
    data, out = toy_data(tmp_path / "data"), tmp_path / "out"
    one, two, three = check_claims(["one", "two", "three"], data, out)
    assert len(list(out.iterdir())) == 2
    assert len(calls(out)) == 3 * (len(ARMS) + 1) + 3 * 4
    assert {run["arm"] for run in two["runs"]} == {"0", "trained=1", "0.5", "0.7"}

    def values(record: dict) -> list:
        return [run["values"] for run in record["runs"] if run["arm"] == "0.5"]

    assert values(one) == values(two) != values(three)


def test_a_control_that_is_not_seen_makes_the_claim_blind(tmp_path: Path, listed) -> None:
    data = toy_data(tmp_path / "data")
    listed(toy=replace(CHECK, control=Pair("0.001", "0", "score")))
    (record,) = check_claims(["toy"], data, tmp_path / "out")
    assert record["verdict"] == "blind"
    assert record["reason"].startswith("control not seen: 0.001 minus 0 by score is ")


def test_exact_bounds_need_one_seed_and_no_control(tmp_path: Path, listed) -> None:
    data = toy_data(tmp_path / "data")
    exact = ClaimCheck(experiment=ToyExperiment(), bounds=(Bound("0.9", "error", 0.0),), seeds=1)
    listed(exact=exact, toy=CHECK, controlled=replace(exact, control=ToyExperiment.control))
    (record,) = check_claims(["exact"], data, tmp_path / "out")
    assert (record["verdict"], record["control"], len(record["runs"])) == ("holds", None, 1)
    for name in ("toy", "controlled"):
        with pytest.raises(ReknitError, match=f"--seeds is 2: {name} needs 3 or more"):
            check_claims([name], data, tmp_path / "out", seeds=2)


def test_a_dry_run_trains_nothing_and_counts_shared_trainings_once(tmp_path: Path, listed) -> None:
    more = replace(CHECK, better=(Pair("0.7", "0.5", "score"),), no_worse=(), bounds=(), seeds=5)
    listed(one=CHECK, two=more, unchecked=None)
    lines = forecast([plan_claim(name) for name in ("one", "two")])
    assert [(line.name, line.arms, line.seeds, line.trainings) for line in lines] == [
        ("one", 5, 3, 15),
        ("two", 4, 5, 20),
        ("all", 6, 5, 15 + 3 + 2 * 4),
    ]
    for line in lines:
        assert line.flops == 1e9 * line.trainings
        assert line.minutes > 0
    words = ["claim", "--dry-run", "--data", str(tmp_path / "none"), "--out", str(tmp_path / "out")]
    ended = CliRunner().invoke(app, words)
    assert ended.exit_code == 0, ended.output
    assert "one" in ended.output
    assert "unchecked" not in ended.output
    assert not (tmp_path / "out").exists()


def test_bad_input(tmp_path: Path, listed) -> None:
    listed(toy=CHECK, unchecked=None, wrong=replace(CHECK, better=(Pair("x", "0", "score"),)))
    data, out = toy_data(tmp_path / "data"), tmp_path / "out"
    with pytest.raises(ReknitError, match=r"the claim of unchecked has no check yet; those that have: toy, wrong"):
        check_claims(["unchecked"], data, out)
    with pytest.raises(ReknitError, match=r"has no toy.txt: name the folder .* with --data"):
        check_claims(["toy"], tmp_path, out)
    with pytest.raises(ReknitError, match="--size is 'huge': choose one of small, large"):
        check_claims(["toy"], data, out, size="huge")
    with pytest.raises(ReknitError, match="ToyExperiment have no budget to change"):
        check_claims(["toy"], data, out, budget="1Mtok")
    with pytest.raises(ReknitError, match="the toy has no arm 'x'"):
        check_claims(["wrong"], data, out)
    with pytest.raises(ReknitError, match="--processes is 0"):
        check_claims(["toy"], data, out, processes=0)
    assert not any(path.is_file() for path in out.rglob("*")), "what is refused leaves nothing"
    ended = CliRunner().invoke(app, ["claim"])
    assert isinstance(ended.exception, ReknitError)
    (out / "x").mkdir(parents=True)
    (tmp_path / "toy.json").mkdir()
    with pytest.raises(ReknitError, match=r"toy.json is a folder"):
        check_claims(["toy"], data, out, records=tmp_path)
