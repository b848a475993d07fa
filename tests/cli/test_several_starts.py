"""`reknit adapt` with several start models: they are compared, teach together and are searched with together."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from command_line import read_result, reknit

import reknit as library
from reknit.adaptation import starts, text_run
from reknit.adaptation.judge import Judge
from reknit.runs.search import search_run, system_of

QUICK = ("--budget", "6ktok", "--set", "tune.data.pairs_per_batch=16")
SYSTEM = "bm25+adapted+small"


@pytest.fixture(scope="module")
def run(finished_run: Path, corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that searches with two models, whatever its verdict says."""
    made = tmp_path_factory.mktemp("several")
    reknit("export", finished_run, "--out", made / "small", "--dims", 16).succeeded()

    def of_two_models(judge: Judge, *_: object) -> object:
        return judge.systems[SYSTEM]

    with mock.patch.object(text_run, "_searched_by", of_two_models):
        command = ("adapt", corpus, "--start", finished_run / "model", "--start", made / "small", "--have", "start")
        # The small one is the large one's beginning, so the large one is the student.
        values = {"run": np.array([0.9]), "small": np.array([0.8])}
        with mock.patch.object(starts, "ndcg_values", return_value=values):
            reknit(*command, "--out", made / "run", *QUICK).succeeded()
    return made / "run"


def test_all_are_compared(run: Path) -> None:
    result = read_result(run)
    assert SYSTEM in result["evaluations"][0]["rows"]
    assert {"small", "bm25+small", "start", "bm25+start+small"} <= set(result["evaluations"][0]["rows"])
    assert result["system_verdict"]["have"] == "start"
    assert "start models, the best first; nDCG@10 of the probe: run " in (run / "train.log").read_text()
    assert "models (2) and" in (run / "train.log").read_text(), "both teach"
    assert result["command"].count("--start") == 2
    assert "--have start" in result["command"]


def test_both_are_searched_with(run: Path, tmp_path: Path) -> None:
    result = read_result(run)
    assert result["sides"] == {"adapted": "model", "small": "models/small"}
    assert set(system_of(run).weights) == {"bm25", "adapted", "small"}
    assert library.load(run / "models" / "small").encode(["a text"]).shape == (1, 16)
    hits = search_run(run, "turns", top=3)
    assert [hit["id"] for hit in hits] == [hit["id"] for hit in json.loads(shown(run))]
    assert search_run(run, "turns", top=3, mode="hybrid") == hits, "the verdict's system is a hybrid"
    assert search_run(run, "turns", top=3, mode="dense") != hits
    for name in ("model", "models", "index"):
        shutil.copytree(run / name, tmp_path / "copy" / name)
    assert search_run(tmp_path / "copy", "turns", top=3) == hits, "the index knows the system and its models"


def shown(run: Path) -> str:
    return reknit("search", run, "turns", "--top", "3", "--json").succeeded().out


def test_it_is_evaluated_as_it_is_searched(run: Path, collection: Path) -> None:
    (found,) = library.evaluate(run, [collection])
    assert set(found.rows) == {"random", "bm25", str(run), "small", "hybrid"}
    assert set(found.systems["hybrid"].weights) == {"bm25", str(run), "small"}


def test_each_model_can_be_exported(run: Path, tmp_path: Path) -> None:
    reknit("export", run, "--system", "small", "--out", tmp_path / "out").succeeded()
    assert library.load(tmp_path / "out").encode(["a text"]).shape == (1, 16)
    complaint = reknit("export", run, "--system", "other", "--out", tmp_path / "none").complaint()
    assert complaint == f"{run} has no model 'other': it has adapted, small"
    complaint = reknit("export", run / "model", "--system", "small", "--out", tmp_path / "none").complaint()
    assert "is not the folder of a finished run" in complaint


def test_a_resumed_run_must_name_the_same_starts(run: Path, corpus: Path, finished_run: Path) -> None:
    words = ("adapt", corpus, "--out", run, "--start", finished_run / "model", *QUICK[:2], "--resume")
    complaint = reknit(*words).complaint()
    assert "was started with" in complaint
    assert "also_start" in complaint


def test_the_report_names_the_systems(run: Path) -> None:
    page = (run / "report.html").read_text(encoding="utf-8")
    assert "BM25 + adapted + small" in page
    assert "models/small/ holds small, which search uses too." in page
    assert "ms a query" in page


def test_a_named_teacher_teaches_and_is_not_searched_with(finished_run: Path, corpus: Path, tmp_path: Path) -> None:
    reknit("export", finished_run, "--out", tmp_path / "small", "--dims", 16).succeeded()
    words = ("adapt", corpus, "--out", tmp_path / "run", "--start", tmp_path / "small", *QUICK)
    reknit(*words, "--teacher", finished_run / "model").succeeded()
    assert "models (2) and" in (tmp_path / "run" / "train.log").read_text(), "both teach"
    result = read_result(tmp_path / "run")
    assert set(result["evaluations"][0]["rows"]) <= {
        "random",
        "bm25",
        *(f"{words}{side}" for words in ("", "bm25+") for side in ("start", "start_expanded", "adapted", "plain")),
    }
    assert f"--teacher {finished_run / 'model'}" in result["command"]
    complaint = reknit(*words, "--teacher", tmp_path / "none", "--overwrite").complaint()
    assert "none" in complaint
