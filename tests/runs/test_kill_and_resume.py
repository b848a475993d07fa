"""A run that is killed again and again ends with the very losses and weights of one that never was."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest
import torch
from command_line import command, reknit
from safetensors.torch import load_file
from small_corpus import write_small_corpus

ENCODER = {"dim": 32, "depth": 2, "heads": 2, "intermediate": 64, "vocabulary": 400}
SETTINGS = {
    "tune.data.pairs_per_batch": 8,
    "probe.queries": 20,
    "probe.per_phase": 3,
    # About every tenth of a second: kills fall on and between checkpoints.
    "checkpoint_minutes": 0.002,
}


def words_of(corpus: Path, out: Path, recipe: str | None, *more: str) -> list[str]:
    """recipe: of the pre-training; None: initial weights by latent semantic analysis, and tuning alone."""
    first = "pretrain" if recipe else "tune"
    changes = SETTINGS | {f"{first}.encoder.{name}": value for name, value in ENCODER.items()}
    given = ["--recipe", recipe, "--set", "pretrain.data.tokens_per_batch=512"] if recipe else []
    words = [part for name, value in changes.items() for part in ("--set", f"{name}={value}")]
    return ["adapt", str(corpus), "--out", str(out), "--start", "scratch", *given, "--budget", "30ktok", *words, *more]


def training_log(run: Path) -> list[dict]:
    """The lines of metrics.jsonl without the times, which no two runs share."""
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if key not in ("seconds", "waited")} for line in lines]


def kill_after(process: subprocess.Popen, metrics: Path, lines: int, pause: float) -> bool:
    """Kill -9 once the log has grown to `lines` and a moment has passed; False when the run ended before."""
    while process.poll() is None:
        if metrics.exists() and metrics.read_bytes().count(b"\n") >= lines:
            time.sleep(pause)
            process.send_signal(signal.SIGKILL)
            return process.wait() == -signal.SIGKILL
        time.sleep(0.002)
    return False


@pytest.mark.parametrize(
    ("recipe", "kills"),
    [
        ("dupmae", 2),
        pytest.param("dupmae", 10, marks=pytest.mark.slow),
        pytest.param(None, 10, marks=pytest.mark.slow),
    ],
)
def test_killed_run_equals_undisturbed_run(tmp_path: Path, recipe: str | None, kills: int) -> None:
    corpus = write_small_corpus(tmp_path / "corpus.jsonl", documents=120)
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    reknit(*words_of(corpus, whole, recipe)).succeeded()
    expected = training_log(whole)

    chance = random.Random(kills)
    killed = 0
    # With as many threads as this process has, where the others run: sums in another order end in other digits.
    environment = {**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())}
    for turn in range(kills):
        resumed = ["--resume"] if (broken / "config.json").exists() else []
        process = subprocess.Popen(
            command(*words_of(corpus, broken, recipe, *resumed)),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=environment,
        )
        # Spread over the whole run, pre-training and tuning both.
        lines = max(1, round(len(expected) * (turn + chance.random()) / kills) - 1)
        killed += kill_after(process, broken / "metrics.jsonl", lines, chance.random() * 0.05)
    assert killed == kills
    reknit(*words_of(corpus, broken, recipe, "--resume")).succeeded()

    assert training_log(broken) == expected
    weights, again = (load_file(run / "model" / "model.safetensors") for run in (whole, broken))
    assert weights.keys() == again.keys()
    assert all((weights[name] == again[name]).all() for name in weights)
