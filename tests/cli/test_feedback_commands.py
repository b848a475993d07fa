"""Feedback: where labels show that it helps, or the user says that queries have many answers; never by the probe."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_line import read_result, reknit

from reknit.report.facts import system_label
from reknit.runs.search import search_run, system_of

QUICK = ("--budget", "1ktok", "--set", "tune.data.pairs_per_batch=16", "--set", "keep=last")


@pytest.fixture(scope="module")
def words(corpus: Path, finished_run: Path) -> tuple[object, ...]:
    return ("adapt", corpus, "--start", finished_run / "model", *QUICK)


@pytest.fixture(scope="module")
def run(words: tuple[object, ...], tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("many") / "run"
    reknit(*words, "--out", made, "--answers", "many", "--set", "keep=best").succeeded()
    return made


def test_who_knows_of_many_answers_gets_it(run: Path) -> None:
    result = read_result(run)
    verdict = result["system_verdict"]
    assert verdict["use"] == result["probe_system_verdict"]["use"] + "+feedback"
    assert f"A second search by its first hits follows ({system_label(verdict['use'])})" in verdict["sentence"]
    assert not any("feedback" in name for name in result["evaluations"][0]["rows"]), "the probe cannot judge it"
    assert (
        result["costs"][verdict["use"]]["milliseconds"]
        > result["costs"][result["probe_system_verdict"]["use"]]["milliseconds"]
    )
    assert "--answers many" in result["command"]


def test_the_index_searches_with_it(run: Path) -> None:
    system = system_of(run)
    assert system.feedback is not None
    hits = search_run(run, "gilak turns", top=5)
    assert len(hits) == 5
    used = system_label(read_result(run)["system_verdict"]["use"])
    assert used.endswith(" + feedback")
    assert used in (run / "report.html").read_text(encoding="utf-8")


def test_labels_judge_it(words: tuple[object, ...], collection: Path, tmp_path: Path) -> None:
    reknit(*words, "--out", tmp_path / "run", "--eval", collection, "--set", "keep=best").succeeded()
    probe, labelled = read_result(tmp_path / "run")["evaluations"]
    assert {"bm25+start+feedback", "bm25+adapted+feedback"} <= labelled["rows"].keys()
    assert labelled["systems"]["bm25+start+feedback"]["feedback"]["hits"] == 3
    assert not any("feedback" in name for name in (*probe["rows"], *labelled["by_weight"]))


def test_who_knows_of_one_answer_gets_none(words: tuple[object, ...], collection: Path, tmp_path: Path) -> None:
    reknit(
        *words, "--out", tmp_path / "run", "--eval", collection, "--answers", "one", "--set", "keep=best"
    ).succeeded()
    for evaluation in read_result(tmp_path / "run")["evaluations"]:
        assert not any("feedback" in name for name in evaluation["rows"])


def test_a_run_that_keeps_what_it_trained_searches_with_feedback_too(words: tuple[object, ...], tmp_path: Path) -> None:
    reknit(*words, "--out", tmp_path / "run", "--answers", "many").succeeded()
    system = system_of(tmp_path / "run")
    assert set(system.weights) == {"bm25", "adapted"}
    assert system.feedback is not None
