"""Folders that an older version wrote: they are still searched, evaluated, encoded, exported and resumed.

`older/28af6fd.tar.xz` was written by commit 28af6fd: runs `finished` (from scratch, pre-trained), `distilled` (from a
trained model) and `stopped` (Ctrl-C in the middle of training), the comparison `compared`, and the texts and labelled
folders they were made of. `older/28af6fd-pretrained.tar.xz` holds `pretrained`, a run of `reknit pretrain`, which then
ended with an index and a verdict.
"""

from __future__ import annotations

import io
import json
import shutil
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import read_result, reknit
from page_reader import Page
from rich.console import Console

import reknit as library
from reknit.bench.adaptation import found_by_run
from reknit.report.card import model_card
from reknit.report.html import render_report
from reknit.report.table import results_table
from reknit.runs.result import RunResult
from reknit.runs.run_folder import RunFolder
from reknit.training.log import MetricsLog

ARCHIVES = [Path(__file__).parent / "older" / f"28af6fd{name}.tar.xz" for name in ("", "-pretrained")]
NOW_CALLED = {"start_hybrid": "bm25+start", "hybrid": "bm25+adapted"}
TINY = ("encoder.dim=16", "encoder.depth=2", "encoder.heads=2", "encoder.intermediate=32", "encoder.vocabulary=200")


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("older")
    for name in ARCHIVES:
        with tarfile.open(name) as archive:
            archive.extractall(folder, filter="data")
    return folder


@pytest.fixture
def older(unpacked: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy to change, as the working folder: the runs name their corpus from there."""
    folder = Path(shutil.copytree(unpacked, tmp_path / "older"))
    monkeypatch.chdir(folder)
    return folder


def without_what_is_new(result: dict[str, Any]) -> dict[str, Any]:
    """A result as 28af6fd would have written it, but for what differs from run to run."""
    new = ("version", "system_verdict", "probe_system_verdict", "changed_searches", "costs", "search", "sides")
    old = {name: value for name, value in result.items() if name not in (*new, "date", "machine", "versions")}
    old["corpus"] = old["corpus"] | {"probe": dict(old["corpus"]["probe"])}
    del old["corpus"]["probe"]["judged_by_all"]
    old["training"] = {name: value for name, value in old["training"].items() if value is not None}
    if old["teacher"]:
        old["teacher"] = {name: value for name, value in old["teacher"].items() if name != "asked"}
    later = ("systems", "by_weight")
    old["evaluations"] = [{name: one[name] for name in one if name not in later} for one in old["evaluations"]]
    return old


def settings(*changes: str) -> list[str]:
    return [word for change in changes for word in ("--set", change)]


@pytest.mark.parametrize("mode", ["dense", "text", "hybrid"])
def test_an_older_index_is_searched(mode: str, older: Path) -> None:
    found = reknit("search", "distilled", "barak turns", "--mode", mode).succeeded()
    assert "barak" in found.out


def test_an_older_run_is_evaluated_as_it_was(older: Path) -> None:
    reknit("evaluate", "finished", "--data", "labelled", "--json", "found.json").succeeded()
    assert json.loads((older / "found.json").read_text())["evaluations"][0]["dataset"] == "labelled"
    # In float32, as it was then: where the processor computes in bfloat16, other texts may come first.
    (found,) = library.evaluate("finished", ["labelled"], precision="float32")
    result = read_result(older / "finished")
    (before,) = [one for one in result["evaluations"] if one["dataset"] == "labelled"]
    for name in ("nDCG@10", "R@100"):
        assert found.rows["finished"][name].value == pytest.approx(before["rows"][result["model_holds"]][name]["value"])


def test_an_older_run_is_encoded_and_exported(older: Path) -> None:
    reknit("encode", "finished", "corpus.jsonl", "--out", "vectors").succeeded()
    reknit("export", "finished", "--out", "exported").succeeded()
    texts = ["the barak turns", "the celet holds"]
    ours, theirs = (library.load(folder).encode(texts) for folder in ("finished", "exported"))
    np.testing.assert_allclose(ours, theirs, atol=1e-6)


def test_a_finished_older_run_is_resumed(older: Path) -> None:
    before = read_result(older / "distilled")
    words = ["adapt", "corpus.jsonl", "--out", "distilled", "--start", "finished", "--budget", "2000tok", "--resume"]
    reknit(*words).succeeded()
    after = read_result(older / "distilled")
    assert after["training"]["tokens"] == before["training"]["tokens"], "finished phases are not repeated"
    assert after["verdict"]["use"] == before["verdict"]["use"]
    stored = json.loads((older / "distilled" / "config.json").read_text())
    assert stored["tune"]["data"]["teacher"]["ranked"] == 32, "the teacher's settings, which were the recipe's"


def test_a_stopped_older_run_goes_on_to_its_end(older: Path) -> None:
    words = ["adapt", "corpus.jsonl", "--out", "stopped", "--start", "scratch", "--budget", "10m", "--resume"]
    reknit(*words, *settings("budget.seconds=none", "budget.tokens=3000")).succeeded()
    assert read_result(older / "stopped")["training"]["tokens"] >= 3000


@pytest.mark.parametrize("name", ["finished", "distilled", "pretrained"])
def test_every_part_of_an_older_result_is_read(name: str, older: Path) -> None:
    before = read_result(older / name)
    found = RunFolder(older / name).found()
    assert found is not None
    assert found.version == 0
    for evaluation, of_before in zip(found.evaluations, before["evaluations"], strict=True):
        hybrids = {NOW_CALLED[name]: one for name, one in of_before.pop("hybrids").items()}
        of_before["rows"] = {NOW_CALLED.get(name, name): row for name, row in of_before["rows"].items()}
        assert {name: (one.models, one.vector_weight) for name, one in evaluation.systems.items()} == {
            name: ((one["model"],), one["weight"]) for name, one in hybrids.items()
        }
        assert evaluation.by_weight == {name: one["by_weight"] for name, one in hybrids.items()}
    assert found.search is not None
    assert found.search.weights == {"bm25": 1 - before["hybrid_weight"], found.model_holds: before["hybrid_weight"]}
    again = without_what_is_new(found.to_json())
    assert again == {part: value for part, value in before.items() if part in again}
    assert before.keys() - again.keys() == {"date", "machine", "versions", "hybrid_weight"}


@pytest.mark.parametrize("name", ["finished", "distilled", "pretrained"])
def test_an_older_result_is_shown_in_every_form(name: str, older: Path) -> None:
    found, config = RunFolder(older / name).found(), json.loads((older / name / "config.json").read_text())
    assert found is not None
    page = Page(render_report(found, MetricsLog(older / name / "metrics.jsonl").read(), config))
    assert page.faults == []
    assert found.verdict is not None
    assert found.verdict.sentence.split(":")[0] in page.text
    assert {"Results", "Example searches", "Training"} <= {heading for _, heading in page.headings}
    assert "None" not in model_card(found, config)
    printed = io.StringIO()
    results_table(found, Console(file=printed))
    assert printed.getvalue().startswith(found.verdict.sentence)


def test_an_older_result_is_a_row_of_a_comparison(older: Path) -> None:
    result = RunFolder(older / "finished").found()
    assert result is not None
    before = read_result(older / "finished")
    row = found_by_run(result)
    assert row["adapted"] == before["evaluations"][-1]["rows"]["adapted"]["nDCG@10"]["value"]
    assert row["probe_verdict"] == before["probe_verdict"]["use"]
    assert row["hybrid_by_weight"]["probe"] == before["evaluations"][0]["hybrids"]["hybrid"]["by_weight"]
    assert (row["teacher"], row["kept_share"]) == (None, None)
    assert row["query_expansion"] == before["query_expansion"]


def test_an_older_pretraining_keeps_its_index_and_its_verdict(older: Path) -> None:
    before = read_result(older / "pretrained")
    words = ["pretrain", "mlm", "--corpus", "corpus.jsonl", "--out", "pretrained", "--budget", "1000tok", "--resume"]
    reknit(*words).succeeded()
    after = read_result(older / "pretrained")
    for part in ("verdict", "probe_verdict"):
        assert {**after[part], "sentence": ""} == {**before[part], "sentence": ""}
    now, then = RunResult.from_json(after), RunResult.from_json(before)
    assert now.model_holds == then.model_holds
    for evaluation, of_before in zip(now.evaluations, then.evaluations, strict=True):
        for name in ("random", "bm25", "start", "adapted"):
            assert evaluation.rows[name] == of_before.rows[name]
    assert len(after["searches"]) == len(before["searches"])
    assert "barak" in reknit("search", "pretrained", "barak turns").succeeded().out


def test_an_older_comparison_takes_another_seed(older: Path) -> None:
    before = read_result(older / "compared")
    words = ["compare", "mlm", "clm", "--corpus", "corpus.jsonl", "--out", "compared", "--budget", "600tok"]
    evals = ["--eval", "classes", "--eval", "labelled"]
    shared = ("tokens_per_batch=256", "tuning_budget.tokens=600", "curve_points=1", "precision=float32")
    reknit(*words, "--seeds", 2, "--resume", *evals, *settings(*TINY, *shared)).succeeded()
    after = read_result(older / "compared")
    assert after["seeds"] == 2
    assert [run for run in after["runs"] if run["seed"] == 0] == before["runs"], "a training is not repeated"
