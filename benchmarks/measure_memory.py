"""Peak memory of the whole main job on a corpus and on one 20 times larger.

    python benchmarks/measure_memory.py [--megabytes 3] [--times 20] [--allowed 64] [--out records/memory.json]

Each corpus is made of distinct documents of about a kilobyte; the model is tiny, so the rest is what is measured. The
memory is the largest resident size of the process, as the kernel keeps it, with pages of mapped files, at two points:
up to the export (reading, curating, cutting, tokenising, holding out, mining pairs, training, evaluating), which must
hardly grow with the corpus, and with the index, of which the full-text part is LanceDB's and does grow a little.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from reknit.jobs.files import write_json
from reknit.jobs.machine import machine, versions

SETTINGS = (
    *("pretrain.encoder.dim=32", "pretrain.encoder.depth=1", "pretrain.encoder.heads=2"),
    *("pretrain.encoder.intermediate=32", "pretrain.encoder.vocabulary=2000", "tune.data.pairs_per_batch=32"),
    *("probe.queries=50", "probe.documents=500", "probe.per_phase=1", "precision=float32"),
)
WORDS = 3000


def write_corpus(path: Path, megabytes: float) -> int:
    """Write JSON lines until the file has the size; returns the number of documents."""
    chance = random.Random(0)
    words = ["".join(chance.choices("bcdfglmnprst", k=3)) + "aeiou"[n % 5] + str(n % 7) for n in range(WORDS)]
    documents = 0
    with open(path, "w", encoding="utf-8") as file:
        while file.tell() < megabytes * 1e6:
            title = " ".join(chance.choices(words, k=4))
            text = ". ".join(" ".join(chance.choices(words, k=12)) for _ in range(12))
            file.write(json.dumps({"_id": f"d{documents}", "title": f"{title} {documents}", "text": text}) + "\n")
            documents += 1
    return documents


def run(corpus: Path, out: Path, budget: str) -> dict[str, float]:
    """Peak megabytes up to the export and in all, and seconds, of one `reknit adapt`."""
    words = [sys.executable, "-m", "reknit", "adapt", str(corpus), "--out", str(out), "--start", "scratch"]
    words += ["--recipe", "mlm", "--budget", budget, *(word for one in SETTINGS for word in ("--set", one))]
    began, log = time.monotonic(), out.with_suffix(".log")
    training = 0.0
    with open(log, "w", encoding="utf-8") as stream:
        process = subprocess.Popen(words, stdout=stream, stderr=stream)
    while (ended := os.wait4(process.pid, os.WNOHANG))[0] == 0:
        if "verdict:" not in log.read_text(encoding="utf-8"):
            training = max(training, peak_of(process.pid))
        time.sleep(0.05)
    process.returncode = os.waitstatus_to_exitcode(ended[1])
    if process.returncode:
        raise SystemExit(f"{' '.join(words)} ended with {process.returncode}: {log.read_text(encoding='utf-8')[-500:]}")
    seconds = round(time.monotonic() - began, 1)
    return {"training_peak_mb": round(training, 1), "peak_mb": round(ended[2].ru_maxrss / 1024, 1), "seconds": seconds}


def peak_of(pid: int) -> float:
    """Largest resident size so far of a process, in megabytes; 0 when it has just ended."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")), 0.0)


def measure(folder: Path, megabytes: float, times: int, budget: str) -> dict[str, Any]:
    """Both runs, in `folder`, and by how much the peaks of the second are higher."""
    rows: list[dict[str, float]] = []
    for number, size in enumerate((megabytes, megabytes * times)):
        corpus = folder / f"corpus-{number}.jsonl"
        documents = write_corpus(corpus, size)
        rows.append({"megabytes": size, "documents": documents, **run(corpus, folder / f"run-{number}", budget)})
    growth = {name: round(rows[1][name] - rows[0][name], 1) for name in ("training_peak_mb", "peak_mb")}
    return {"runs": rows, "growth": growth}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--megabytes", type=float, default=3, help="size of the smaller corpus")
    parser.add_argument("--times", type=int, default=20, help="how much larger the other one is")
    parser.add_argument("--allowed", type=float, default=64, help="megabytes that the peak of training may grow by")
    parser.add_argument("--budget", default="200000tok", help="of training, the same for both")
    parser.add_argument("--out", type=Path, help="write the numbers to this file")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = measure(Path(folder), asked.megabytes, asked.times, asked.budget)
    found |= {"machine": machine(), "versions": versions()}
    found |= {"allowed_mb": asked.allowed, "flat": found["growth"]["training_peak_mb"] <= asked.allowed}
    print(json.dumps(found, indent=2))
    if asked.out:
        write_json(asked.out, found)
    sys.exit(0 if found["flat"] else 1)


if __name__ == "__main__":
    main()
