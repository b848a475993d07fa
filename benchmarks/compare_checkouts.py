"""Speed of a training step and of a search with the code of two checkouts, in turns on one machine.

    python benchmarks/compare_checkouts.py BEFORE AFTER [--turns 5] [--json records/compare_checkouts.json]

Each turn trains and searches with both, one after the other, in processes of one thread. Medians and their ratio are
printed; a quiet machine is needed.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

from frozen_set import write_texts

from reknit.jobs.files import write_json
from reknit.jobs.machine import machine, versions

SETTINGS = ("precision=float32", "probe.queries=10", "probe.per_phase=1", "pretrain.encoder.vocabulary=1000")
SEARCHES = 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    sides = {"before": given.before.resolve(), "after": given.after.resolve()}
    found: dict[str, dict[str, list[float]]] = {side: {"tokens_per_second": [], "search_seconds": []} for side in sides}
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        write_texts(folder)
        words = ["adapt", "corpus.jsonl", "--start", "scratch", "--budget", "3000tok", "--out"]
        for side, checkout in sides.items():
            reknit(checkout, folder, *words, f"searched-{side}")
        for turn in range(given.turns):
            for side, checkout in sides.items() if turn % 2 == 0 else reversed(sides.items()):
                found[side]["tokens_per_second"].append(trained(checkout, folder, f"{side}-{turn}"))
                found[side]["search_seconds"] += searched(checkout, folder, f"searched-{side}")
    medians = {side: {name: median(values) for name, values in of.items()} for side, of in found.items()}
    ratios = {name: medians["after"][name] / medians["before"][name] for name in medians["after"]}
    for name, ratio in ratios.items():
        print(f"{name}: {medians['before'][name]:.4g} before, {medians['after'][name]:.4g} after, ratio {ratio:.3f}")
    if given.json:
        commits = {side: commit(checkout) for side, checkout in sides.items()}
        record = {"values": found, "medians": medians, "ratios": ratios, "commits": commits, "turns": given.turns}
        record |= {
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "machine": machine(),
            "versions": versions(),
        }
        write_json(given.json, record | {"command": " ".join(["python", *sys.argv])})


def trained(checkout: Path, folder: Path, out: str) -> float:
    """Tokens a second of a short RetroMAE pre-training at the default size."""
    settings = [word for setting in SETTINGS for word in ("--set", setting)]
    words = ["pretrain", "retromae", "--corpus", "data/text/mix_en.jsonl.zst", "--budget", "60ktok", "--out", out]
    reknit(checkout, folder, *words, *settings)
    training: dict[str, Any] = json.loads((folder / out / "result.json").read_text(encoding="utf-8"))["training"]
    return float(training["tokens_per_second"])


def searched(checkout: Path, folder: Path, run: str) -> list[float]:
    """Seconds of single searches, imports and all."""
    seconds = []
    for _ in range(SEARCHES):
        began = time.perf_counter()
        reknit(checkout, folder, "search", run, "the barak turns")
        seconds.append(time.perf_counter() - began)
    return seconds


def reknit(checkout: Path, folder: Path, *words: str) -> None:
    environment = os.environ | {"PYTHONPATH": str(checkout / "src"), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "reknit", *words]
    subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)


def commit(checkout: Path) -> str:
    done = subprocess.run(["git", "rev-parse", "HEAD"], cwd=checkout, capture_output=True, text=True, check=True)
    return done.stdout.strip()


if __name__ == "__main__":
    main()
