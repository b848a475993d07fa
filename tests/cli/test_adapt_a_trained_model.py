"""`reknit adapt` from a model that has been trained: it learns from BM25 and itself together."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path

import pytest
from command_line import read_result, reknit

import reknit as library
from reknit.export.sentence_transformers import save
from reknit.runs.config import PromptSpec, RunConfig
from reknit.runs.search import search_run
from reknit.runs.start import load_start

QUICK = ("--budget", "6ktok", "--set", "tune.data.pairs_per_batch=16")


def test_a_trained_start_is_taught_alike_every_time(finished_run: Path, corpus: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    command = ("adapt", corpus, "--out", run, "--start", finished_run / "model", *QUICK)
    reknit(*command).succeeded()
    result = read_result(run)
    assert [phase["recipe"] for phase in result["training"]["phases"]] == ["hybrid-distillation"]
    assert "--recipe" not in result["command"]
    lessons = json.loads((run / "checkpoints" / "data" / "lessons" / "facts.json").read_text())
    assert lessons["documents"] >= 60
    assert lessons["queries"] > 60
    assert 0 <= lessons["dense_weight"] <= 1

    again = tmp_path / "again"
    reknit("adapt", corpus, "--out", again, "--start", finished_run / "model", *QUICK).succeeded()
    weights = [(folder / "model" / "model.safetensors").read_bytes() for folder in (run, again)]
    assert weights[0] == weights[1]


def test_a_start_cut_to_its_first_coordinates_learns_in_those(finished_run: Path, corpus: Path, tmp_path: Path) -> None:
    small, run = tmp_path / "small", tmp_path / "run"
    reknit("export", finished_run, "--out", small, "--dims", 16).succeeded()
    reknit("adapt", corpus, "--out", run, "--start", small, *QUICK).succeeded()
    result = read_result(run)
    assert result["training"]["phases"][0]["recipe"] == "hybrid-distillation"
    assert library.load(run).encode(["a text"]).shape == (1, 16)
    assert json.loads((run / "index" / "index.json").read_text())["dim"] == 16


def test_prompts_that_a_start_does_not_name_can_be_given(finished_run: Path, corpus: Path, tmp_path: Path) -> None:
    start, run = finished_run / "model", tmp_path / "run"
    prompts = ("--set", 'prompts.query="query: "', "--set", "prompts.document=passage: ")
    exact = ("--set", "precision=float32")
    reknit("adapt", corpus, "--out", run, "--start", start, *QUICK, *prompts, *exact).succeeded()
    model = library.load(run)
    assert (model.prompt_text("query"), model.prompt_text("document")) == ("query: ", "passage: ")
    assert library.load(start).prompt_text("query") == ""
    (hit,) = search_run(run, "anything", mode="dense", top=1)
    query, document = (
        model.encode([text], prompt_name=kind)[0]
        for text, kind in (("anything", "query"), (f"{hit['title']} {hit['text']}".strip(), "document"))
    )
    assert hit["score"] == pytest.approx(query @ document, abs=1e-4)

    assert read_result(run)["model_prompts"] == {"query": "query: ", "document": "passage: "}
    assert "start: " in (log := (run / "train.log").read_text())
    assert "query prompt 'query: ', document prompt 'passage: '" in log

    scratch = ("adapt", corpus, "--out", tmp_path / "scratch", "--start", "scratch", "--budget", "1ktok")
    assert "prompts are for a trained start model, and a new one has none" in reknit(*scratch, *prompts).complaint()


def test_a_given_prompt_replaces_the_folders_own_by_any_name(finished_run: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(finished_run / "model", tmp_path / "folder")
    file = folder / "config_sentence_transformers.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"prompts": {"query": "q: ", "passage": "p: "}}))
    config = RunConfig(corpus="", start=str(folder), prompts=PromptSpec(document=""))
    start = load_start(config)
    assert start is not None
    for model in (start, library.load(save(start, tmp_path / "saved"))):
        assert (model.prompt_text("query"), model.prompt_text("document")) == ("q: ", "")


def test_a_small_corpus_is_not_learnt_by_heart(finished_run: Path, corpus: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    options = ("--budget", "1Mtok", "--set", "tune.data.pairs_per_batch=16", "--set", "tune.data.teacher.epochs=0.5")
    reknit("adapt", corpus, "--out", run, "--start", finished_run / "model", *options).succeeded()
    result = read_result(run)
    steps = math.ceil(result["teacher"]["queries"] // 16 / 2)
    (phase,) = result["training"]["phases"]
    assert (phase["steps"], phase["stopped_because"]) == (steps, f"all {steps} steps made")
    assert f"at most {steps} steps (0.5 epochs of" in (run / "train.log").read_text()


def test_no_epoch_at_all_is_refused(finished_run: Path, corpus: Path, tmp_path: Path) -> None:
    options = ("--start", finished_run / "model", "--set", "tune.data.teacher.epochs=0")
    ended = reknit("adapt", corpus, "--out", tmp_path / "run", *options)
    assert "teacher.epochs is 0.0: it must be above 0" in ended.complaint()
    assert not (tmp_path / "run").exists()


def test_a_recipe_may_come_before_it(finished_run: Path, corpus: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    start = finished_run / "model"
    reknit("adapt", corpus, "--out", run, "--start", start, "--recipe", "mlm", *QUICK).succeeded()
    result = read_result(run)
    assert [phase["recipe"] for phase in result["training"]["phases"]] == ["mlm", "hybrid-distillation"]
    assert "--recipe mlm" in result["command"]


def test_there_is_nothing_to_distil_from_scratch(corpus: Path, tmp_path: Path) -> None:
    ended = reknit(
        "pretrain", "hybrid-distillation", "--corpus", corpus, "--out", tmp_path / "run", "--budget", "1ktok"
    )
    assert "learns from its start model, which --start scratch does not have" in ended.complaint()
    assert not (tmp_path / "run").exists()
