"""Whatever goes wrong, a run that was there before is still there, and what was trained can be gone on from."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import shlex
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from command_line import Ended, adapt, command, contents, process, read_result, reknit, write_lines
from small_corpus import small_documents

from reknit.runs.run_folder import RunFolder
from reknit.training.trainer import Trainer


def steps_saved(run: Path, phase: str = "pretrain") -> list[str]:
    return sorted(folder.name for folder in (run / "checkpoints" / phase).glob("step-*"))


def lines_logged(run: Path) -> list[dict]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


# The run folder


def test_a_finished_run_is_not_touched(own_run: Path, corpus: Path) -> None:
    before = contents(own_run)
    line = reknit(*adapt(corpus, own_run)).complaint()
    assert line == f"{own_run} already holds a run: add --resume to continue it or --overwrite to replace it"
    assert contents(own_run) == before


def test_overwriting_replaces_the_run_and_nothing_else(own_run: Path, corpus: Path) -> None:
    (own_run / "notes.txt").write_text("mine")
    reknit(*adapt(corpus, own_run, "--overwrite", seed=7)).succeeded()
    assert read_result(own_run)["seed"] == 7
    assert (own_run / "notes.txt").read_text() == "mine"
    assert not (own_run / ".replaced").exists()


@pytest.mark.parametrize("kind", ["missing corpus", "three documents", "bad start", "bad setting", "broken lines"])
def test_overwriting_with_bad_input_keeps_the_old_run(kind: str, own_run: Path, corpus: Path, tmp_path: Path) -> None:
    before = contents(own_run)
    few = write_lines(tmp_path / "few.jsonl", small_documents(3))
    broken = write_lines(tmp_path / "broken.jsonl", ["{"] * 3)
    words = {
        "missing corpus": adapt(tmp_path / "absent", own_run, "--overwrite"),
        "three documents": adapt(few, own_run, "--overwrite"),
        "bad start": adapt(corpus, own_run, "--overwrite", "--start", str(tmp_path)),
        "bad setting": adapt(corpus, own_run, "--overwrite", "--set", "a=b"),
        "broken lines": adapt(broken, own_run, "--overwrite", "--max-bad", "1"),
    }
    reknit(*words[kind]).complaint()
    assert contents(own_run) == before
    assert json.loads(reknit("search", own_run, "turns", "--json").succeeded().out)


def test_overwriting_run_that_was_killed_while_it_prepared(own_run: Path, corpus: Path, tmp_path: Path) -> None:
    before = contents(own_run)
    # What `kill -9` leaves in the middle of reading: the old run aside, a new config.json.
    reading = own_run / ".replaced"
    reading.mkdir()
    for name in RunFolder.own:
        if name != "config.json" and (own_run / name).exists():
            os.rename(own_run / name, reading / name)
    (reading / "config.json").write_bytes((own_run / "config.json").read_bytes())
    few = write_lines(tmp_path / "few.jsonl", small_documents(3))
    reknit(*adapt(few, own_run, "--overwrite")).complaint()
    assert contents(own_run) == before


def test_folder_with_other_files(tmp_path: Path, corpus: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    for word in ("--overwrite", None):
        line = reknit(*adapt(corpus, tmp_path, *([word] if word else []))).complaint()
        assert line == f"{tmp_path} is not empty (thesis.txt): give a new folder with --out"
    assert contents(tmp_path) == {"thesis.txt": b"years of work"}


def test_out_that_cannot_be_a_folder(tmp_path: Path, corpus: Path) -> None:
    (tmp_path / "file").write_text("mine")
    assert "is a file: give a folder with --out" in reknit(*adapt(corpus, tmp_path / "file")).complaint()
    assert "cannot be made" in reknit(*adapt(corpus, tmp_path / "file" / "below")).complaint()
    assert (tmp_path / "file").read_text() == "mine"


# Resuming


def test_resume_with_a_different_command(own_run: Path, corpus: Path) -> None:
    before = contents(own_run)
    line = reknit(*adapt(corpus, own_run, "--resume", budget="1h")).complaint()
    assert line.startswith(f"{own_run} was started with budget")
    assert line.endswith("repeat its command with --resume, or change single settings with --set")
    assert contents(own_run) == before


def test_resume_of_nothing(tmp_path: Path, corpus: Path) -> None:
    line = reknit(*adapt(corpus, tmp_path / "run", "--resume")).complaint()
    assert line == f"{tmp_path / 'run'} holds no run to resume: leave --resume out to start one"
    assert not (tmp_path / "run").exists()


def test_resume_of_a_damaged_folder(own_run: Path, corpus: Path) -> None:
    (own_run / "config.json").write_text("{")
    assert "cannot be read as JSON" in reknit(*adapt(corpus, own_run, "--resume")).complaint()
    (own_run / "config.json").write_text("{}")
    assert "is not a run's configuration" in reknit(*adapt(corpus, own_run, "--resume")).complaint()


def test_resume_of_a_finished_run_changes_no_number(own_run: Path, corpus: Path) -> None:
    before = read_result(own_run)
    reknit(*adapt(corpus, own_run, "--resume")).succeeded()
    after = read_result(own_run)
    assert (after["evaluations"], after["training"]) == (before["evaluations"], before["training"])


# Ctrl-C


def interrupted(words: list[str], when: Path, lines: int = 1) -> Ended:
    """Send SIGINT as the terminal does, once the file `when` has so many lines."""
    running = subprocess.Popen(
        command(*words),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        # A job in the background of a script is started with SIGINT ignored, and hands that down.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    limit = time.monotonic() + 240
    while running.poll() is None and time.monotonic() < limit:
        if when.exists() and when.read_bytes().count(b"\n") >= lines:
            running.send_signal(signal.SIGINT)
            break
        time.sleep(0.005)
    out, err = running.communicate(timeout=240)
    return Ended(running.returncode, out, err)


def stopped_in_training(words: list[str], steps: int) -> None:
    """The same within this process, after so many steps, where not the signal matters but what is saved."""
    step = Trainer._step

    def ask(trainer: Trainer, *rest: Any) -> float:
        loss = step(trainer, *rest)
        if trainer.state.step == steps:
            signal.raise_signal(signal.SIGINT)
        return loss

    with mock.patch.object(Trainer, "_step", ask):
        assert f"stopped at step {steps}" in reknit(*words).complaint(code=130)


def test_ctrl_c_while_training_saves_and_resumes(tmp_path: Path, corpus: Path) -> None:
    run = tmp_path / "a run"
    # --overwrite of nothing is allowed, and must not be in the command to go on with.
    words = adapt(corpus, run, "--overwrite", budget="30ktok")
    ended = interrupted(words, run / "metrics.jsonl", lines=5)
    line = ended.complaint(code=130)
    stopped, _, go_on = line.partition("; what was finished is saved. Go on with: ")
    assert stopped.startswith("stopped at step ")
    (saved,) = steps_saved(run)
    assert stopped == f"stopped at step {int(saved[5:])} of pretrain"
    before = lines_logged(run)

    program, *again = shlex.split(go_on)
    assert (program, again) == ("reknit", [*(word for word in words if word != "--overwrite"), "--resume"])
    reknit(*again).succeeded()
    assert lines_logged(run)[: len(before)] == before
    assert read_result(run)["training"]["tokens"] >= 30_000


def test_ctrl_c_while_reading_stops_at_once_and_resumes(tmp_path: Path, corpus: Path) -> None:
    folder, run = tmp_path / "texts", tmp_path / "run"
    folder.mkdir()
    # A folder of many files takes its time.
    for number, document in enumerate(small_documents(4000)):
        (folder / f"{number}.txt").write_text(document["text"])
    words = adapt(folder, run)
    ended = interrupted(words, run / "config.json")
    line = ended.complaint(code=130)
    assert line.startswith("stopped; what was finished is saved. Go on with: reknit adapt ")
    assert line.endswith(" --resume")
    assert not (run / "metrics.jsonl").exists()


def test_ctrl_c_after_training_stops_at_once_and_resumes(tmp_path: Path, corpus: Path) -> None:
    run = tmp_path / "run"
    ended = interrupted(adapt(corpus, run), run / "checkpoints" / "tune" / "done.json")
    ended.complaint(code=130)
    assert not (run / "result.json").exists()
    trained = contents(run / "checkpoints" / "tune")
    reknit(*adapt(corpus, run, "--resume")).succeeded()
    assert contents(run / "checkpoints" / "tune") == trained
    assert read_result(run)["verdict"]


# A loss that is not finite

HUGE = "--set", "pretrain.optimiser.learning_rate=1e30"
SMALL = "--set", "pretrain.optimiser.learning_rate=1e-3"


def test_not_finite_from_the_start(tmp_path: Path, corpus: Path) -> None:
    run = tmp_path / "run"
    # A checkpoint after every step: those made of broken weights must not stay.
    line = reknit(*adapt(corpus, run, *HUGE, budget="20ktok", checkpoint_minutes=0)).complaint()
    assert line.startswith("the loss of pretrain was not finite 10 times in a row, up to step 11; no checkpoint")
    assert line.endswith("--set pretrain.optimiser.learning_rate=..., or with --set precision=float32")
    assert [line.get("skipped", False) for line in lines_logged(run)] == [False, *[True] * 10]
    assert steps_saved(run) == []
    reknit(*adapt(corpus, run, "--resume", *SMALL, budget="20ktok")).succeeded()


def test_not_finite_keeps_the_last_good_checkpoint(tmp_path: Path, corpus: Path) -> None:
    run = tmp_path / "run"
    words = adapt(corpus, run, budget="30ktok")
    stopped_in_training(words, 5)
    good = contents(run / "checkpoints" / "pretrain")
    (saved,) = steps_saved(run)
    for minutes in (0, 2):
        line = reknit(*words, "--resume", *HUGE, "--set", f"checkpoint_minutes={minutes}").complaint()
        assert f"the checkpoint of step {int(saved[5:])} is kept" in line
        assert contents(run / "checkpoints" / "pretrain") == good
    reknit(*words, "--resume", *SMALL).succeeded()
    training = read_result(run)["training"]
    assert training["phases"][0]["skipped"] == 0


# A full disk


@contextlib.contextmanager
def small_disk(folder: Path, kilobytes: int) -> Iterator[None]:
    folder.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(folder)], capture_output=True
    )
    if made.returncode != 0:
        pytest.skip("a small disk cannot be mounted here")
    try:
        yield
    finally:
        # Lazily: the run's memory-mapped files may still be open in this process.
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def grow(folder: Path) -> None:
    subprocess.run(["mount", "-o", "remount,size=64m", str(folder)], check=True)


@pytest.mark.parametrize(("kilobytes", "kept"), [(4, 0), (16, 0), (44, 0), (72, 0), (700, 0), (1100, 1), (1900, 2)])
def test_full_disk(tmp_path: Path, corpus: Path, kilobytes: int, kept: int) -> None:
    # Each size runs full at another place: config.json, passages, tokenizer, tokens, the first checkpoint, later ones.
    run = tmp_path / "disk" / "run"
    words = adapt(corpus, run, budget="6ktok", checkpoint_minutes=0)
    with small_disk(tmp_path / "disk", kilobytes):
        line = reknit(*words).complaint()
        assert line.startswith("no space left while writing ")
        assert line.endswith(": free some space, then go on with --resume")
        assert len(steps_saved(run)) == kept, "the checkpoints before stay"
        grow(tmp_path / "disk")
        reknit(*words, *(["--resume"] if (run / "config.json").exists() else [])).succeeded()


def limit_file_size(size: int) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def test_file_size_limit_keeps_the_previous_checkpoint(tmp_path: Path, corpus: Path) -> None:
    run = tmp_path / "run"
    words = adapt(corpus, run, budget="12ktok", checkpoint_minutes=0)
    stopped_in_training(words, 5)
    good = {name: contents(run / "checkpoints" / "pretrain" / name) for name in steps_saved(run)}
    largest = max(len(content) for content in good[steps_saved(run)[-1]].values())
    line = process(*words, "--resume", preexec_fn=lambda: limit_file_size(largest - 1)).complaint()
    assert "no space left while writing" in line
    assert {name: contents(run / "checkpoints" / "pretrain" / name) for name in steps_saved(run)} == good
    reknit(*words, "--resume", "--set", "checkpoint_minutes=2").succeeded()
