"""Folders that an older version wrote: they are still searched, evaluated, encoded, exported and resumed.

`older/28af6fd.tar.xz` was written by commit 28af6fd: runs `finished` (from scratch, pre-trained), `distilled` (from a
trained model) and `stopped` (Ctrl-C in the middle of training), the comparison `compared`, and the texts and labelled
folders they were made of.
"""

from __future__ import annotations

import json
import shutil
import tarfile
from pathlib import Path

import numpy as np
import pytest
from command_line import read_result, reknit

import reknit as library

ARCHIVE = Path(__file__).parent / "older" / "28af6fd.tar.xz"
TINY = ("encoder.dim=16", "encoder.depth=2", "encoder.heads=2", "encoder.intermediate=32", "encoder.vocabulary=200")


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("older")
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(folder, filter="data")
    return folder


@pytest.fixture
def older(unpacked: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy to change, as the working folder: the runs name their corpus from there."""
    folder = Path(shutil.copytree(unpacked, tmp_path / "older"))
    monkeypatch.chdir(folder)
    return folder


def settings(*changes: str) -> list[str]:
    return [word for change in changes for word in ("--set", change)]


@pytest.mark.parametrize("mode", ["dense", "text", "hybrid"])
def test_an_older_index_is_searched(mode: str, older: Path) -> None:
    found = reknit("search", "distilled", "barak turns", "--mode", mode).succeeded()
    assert "barak" in found.out


def test_an_older_run_is_evaluated_as_it_was(older: Path) -> None:
    reknit("evaluate", "finished", "--data", "labelled", "--json", "found.json").succeeded()
    (found,) = json.loads((older / "found.json").read_text())["evaluations"]
    result = read_result(older / "finished")
    (before,) = [one for one in result["evaluations"] if one["dataset"] == "labelled"]
    for name in ("nDCG@10", "R@100"):
        assert found["rows"]["finished"][name]["value"] == pytest.approx(
            before["rows"][result["model_holds"]][name]["value"]
        )


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


def test_an_older_comparison_takes_another_seed(older: Path) -> None:
    before = read_result(older / "compared")
    words = ["compare", "mlm", "clm", "--corpus", "corpus.jsonl", "--out", "compared", "--budget", "600tok"]
    evals = ["--eval", "classes", "--eval", "labelled"]
    shared = ("tokens_per_batch=256", "tuning_budget.tokens=600", "curve_points=1", "precision=float32")
    reknit(*words, "--seeds", 2, "--resume", *evals, *settings(*TINY, *shared)).succeeded()
    after = read_result(older / "compared")
    assert after["seeds"] == 2
    assert [run for run in after["runs"] if run["seed"] == 0] == before["runs"], "a training is not repeated"
