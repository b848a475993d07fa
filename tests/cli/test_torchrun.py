"""The command line on two processes: stopped from any of them, gone on with by one, complaining once."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from command_line import read_result, reknit, settings

# Without dropout, whose chance belongs to the process, the losses are those of one process.
WORDS = ["--corpus", None, "--out", None, *settings(without="tune", **{"pretrain.encoder.dropout": 0})]


def pretrain(corpus: Path, out: Path, *more: str) -> list[str]:
    given = iter((str(corpus), str(out)))
    words = [next(given) if word is None else word for word in WORDS]
    return ["pretrain", "mlm", *words, "--start", "scratch", "--budget", "16ktok", *more]


def torchrun(*words: str) -> subprocess.Popen:
    # After "--", because torchrun takes "--start" for the beginning of an option of its own.
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "--"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen([*launch, "reknit", *words], stderr=subprocess.PIPE, text=True, env=environment)


def workers(launcher: int) -> dict[int, int]:
    """{rank: process} of what torchrun has started."""
    found = {}
    for task in Path(f"/proc/{launcher}/task").iterdir():
        for child in (task / "children").read_text().split():
            environment = Path(f"/proc/{child}/environ").read_text().split("\0")
            found |= {int(line.removeprefix("RANK=")): int(child) for line in environment if line.startswith("RANK=")}
    return found


def losses(run: Path) -> list[float]:
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [line["loss"] for line in lines if "loss" in line]


def said(error: str) -> list[str]:
    return [line for line in error.splitlines() if line.startswith("reknit: ")]


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finds the processes in /proc")
def test_stopped_in_one_process_and_gone_on_with_by_one(corpus: Path, tmp_path: Path) -> None:
    whole, run = tmp_path / "whole", tmp_path / "run"
    reknit(*pretrain(corpus, whole)).succeeded()

    launcher = torchrun(*pretrain(corpus, run))
    while not (run / "metrics.jsonl").exists() or len(losses(run)) < 5:
        assert launcher.poll() is None, launcher.stderr.read()
        time.sleep(0.01)
    os.kill(workers(launcher.pid)[1], signal.SIGTERM)
    _, error = launcher.communicate(timeout=60)
    assert launcher.returncode != 0
    (line,) = said(error)
    assert "what was finished is saved" in line
    done = len(losses(run))
    assert 5 <= done < len(losses(whole))

    reknit(*pretrain(corpus, run, "--resume")).succeeded()
    assert losses(run) == pytest.approx(losses(whole), rel=0, abs=1e-5)
    assert read_result(run)["training"]["tokens"] == read_result(whole)["training"]["tokens"]


def test_bad_input_is_told_once(corpus: Path, tmp_path: Path) -> None:
    launcher = torchrun(*pretrain(corpus, tmp_path / "run", "--set", "pretrain.data.tokens_per_batch=128"))
    _, error = launcher.communicate(timeout=60)
    (line,) = said(error)
    assert line == (
        "reknit: a batch of pretrain has room for 1 example(s), but there are 2 processes: "
        "start fewer processes, or use --set pretrain.data.tokens_per_batch=256 or more"
    )
    assert "exitcode  : 2" in error
    assert not (tmp_path / "run").exists()
