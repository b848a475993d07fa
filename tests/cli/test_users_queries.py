"""`reknit adapt --queries --pairs`: what users asked trains, judges and is counted, and is shown only when asked."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_line import read_result, reknit
from page_reader import Page
from small_corpus import THINGS

QUICK = ("--budget", "3ktok", "--set", "tune.data.pairs_per_batch=16")


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("users")
    (folder / "log.txt").write_text("".join(f"secret {one} {two}\n" for one in THINGS for two in THINGS[:4]))
    (folder / "clicks.tsv").write_text(
        "".join(f"concealed {THINGS[n % 24]} {n}\td{n % 60}\t{1 + n % 3}\n" for n in range(300))
    )
    return folder


@pytest.fixture(scope="module")
def words(corpus: Path, finished_run: Path, given: Path) -> tuple[object, ...]:
    users = ("--queries", given / "log.txt", "--pairs", given / "clicks.tsv")
    return ("adapt", corpus, "--start", finished_run / "model", *users, *QUICK)


@pytest.fixture(scope="module")
def run(words: tuple[object, ...], tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("asked") / "run"
    reknit(*words, "--out", made).succeeded()
    return made


def test_they_train_and_judge(run: Path) -> None:
    result = read_result(run)
    assert [one["dataset"] for one in result["evaluations"]] == ["probe", "clicks"]
    assert 50 <= result["evaluations"][1]["queries"] < 90
    assert result["system_verdict"]["decided_by"] == "clicks"
    assert result["probe_system_verdict"]["decided_by"] == "probe"
    assert result["teacher"]["asked"] > 90
    assert "queries are cut to the lengths of those that users asked" in result["evaluations"][0]["notes"]
    assert any("clicks favour what users were shown first" in note for note in result["evaluations"][1]["notes"])
    changed = result["changed_searches"]
    assert changed["queries"] == 96
    assert (changed["before"], changed["now"]) == ("bm25+start", result["system_verdict"]["use"])
    assert (changed["changed"] > 0) == (changed["before"] != changed["now"])
    assert f"--queries {json.loads((run / 'config.json').read_text())['queries']}" in result["command"]


def test_no_query_leaves_the_checkpoints(run: Path) -> None:
    for file in run.rglob("*"):
        if file.is_file() and "checkpoints" not in file.relative_to(run).parts:
            content = file.read_bytes()
            assert b"secret " not in content, file
            assert b"concealed" not in content, file
    assert "the users' queries" in Page((run / "report.html").read_text(encoding="utf-8")).text


def test_a_file_that_has_changed_is_told_on_resume(words: tuple[object, ...], given: Path, run: Path) -> None:
    log = given / "log.txt"
    before = log.read_text()
    log.write_text(before + "one more\n")
    complaint = reknit(*words, "--out", run, "--resume").complaint()
    log.write_text(before)
    assert complaint == f"{log} has changed since the run began: start a new run, with another folder"


def test_they_are_shown_where_that_is_asked_for(words: tuple[object, ...], tmp_path: Path) -> None:
    more = ("--show-queries", "--have", "bm25", "--set", "keep=last", "--overwrite")
    reknit(*words, "--out", tmp_path / "run", *more).succeeded()
    page = Page((tmp_path / "run" / "report.html").read_text(encoding="utf-8"))
    assert page.faults == []
    assert "Users' queries with another first result" in page.text
    assert "secret " in page.text


def test_a_resume_must_name_the_same_files(words: tuple[object, ...], run: Path) -> None:
    complaint = reknit(*words[:4], *QUICK[:2], "--out", run, "--resume").complaint()
    assert "was started with" in complaint
    assert "queries" in complaint


@pytest.mark.parametrize("option", ["--queries", "--pairs"])
def test_a_file_that_is_missing_is_told_before_anything_is_written(option: str, corpus: Path, tmp_path: Path) -> None:
    complaint = reknit("adapt", corpus, "--out", tmp_path / "run", option, tmp_path / "none.tsv").complaint()
    assert complaint == f"there is no file {tmp_path / 'none.tsv'}"
    assert not (tmp_path / "run").exists()


def test_a_new_model_learns_nothing_from_them_and_says_so(corpus: Path, given: Path, tmp_path: Path) -> None:
    words = ("adapt", corpus, "--out", tmp_path / "run", "--start", "scratch", "--budget", "1ktok")
    found = reknit(*words, "--queries", given / "log.txt").succeeded()
    assert "users' queries train nothing in this run" in found.err
