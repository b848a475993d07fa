"""What planning attention kernels for every shape of a bucket costs a training step on a GPU.

    python benchmarks/measure_gpu_step.py [RECIPE ...] [--corpus C] [--eval E] [--turns 2] [--out records/gpu_step.json]

Trains at the large size of claims, in turns with the kernels that reknit allows and with cuDNN's before them, as torch
prefers them; the figure is the mean milliseconds of a step by the run's own log, the first steps left out (a shape that
comes again is planned once).
"""

from __future__ import annotations

import argparse
import json
import tempfile
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from statistics import mean
from typing import Any

from torch.nn.attention import SDPBackend

from reknit.encoders.attention import packed
from reknit.jobs.files import write_json
from reknit.jobs.machine import machine, versions
from reknit.research.comparison import compare
from reknit.research.pretraining.experiment import CLAIM_SIZES

SHARED = Path(__file__).parents[2] / "shared" / "data"
BUDGET = "1Mtok"
WARM_UP = 20
OWN = packed.SHAPELESS_KERNELS
KERNELS = {"without cuDNN": OWN, "cuDNN first": [SDPBackend.CUDNN_ATTENTION, *OWN]}


def steps(recipes: list[str], corpus: Path, labelled: Path) -> dict[str, float]:
    """{recipe: mean milliseconds of a step}."""
    with tempfile.TemporaryDirectory() as folder:
        settings = (*CLAIM_SIZES["large"].settings, "curve_points=1")
        compare(recipes, corpus, folder, budget=BUDGET, eval=[labelled], seeds=1, settings=settings)
        logs = {name: Path(folder) / "arms" / name / "seed-0" / "metrics.jsonl" for name in recipes}
        return {name: step_milliseconds(log) for name, log in logs.items()}


def step_milliseconds(log: Path) -> float:
    """The mean time of the steps after the first, those left out in which a probe ran."""
    lines = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    taken = [b["seconds"] - a["seconds"] for a, b in pairwise(lines) if "loss" in a and "loss" in b]
    return round(1000 * mean(taken[WARM_UP:]), 1)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("recipes", nargs="*", default=["mlm", "retromae", "electra"])
    parser.add_argument("--corpus", type=Path, default=SHARED / "text" / "mix_en.jsonl.zst")
    parser.add_argument("--eval", type=Path, default=SHARED / "sts" / "stsb_en")
    parser.add_argument("--turns", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("records/gpu_step.json"))
    options = parser.parse_args()
    found: dict[str, dict[str, list[float]]] = {recipe: {name: [] for name in KERNELS} for recipe in options.recipes}
    for _ in range(options.turns):
        for name, kernels in KERNELS.items():
            packed.SHAPELESS_KERNELS = kernels
            for recipe, milliseconds in steps(options.recipes, options.corpus, options.eval).items():
                found[recipe][name].append(milliseconds)
    record: dict[str, Any] = {
        "milliseconds_a_step": found,
        "size": "large",
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "versions": versions(),
    }
    write_json(options.out, record)
    print(json.dumps(record, indent=1))


if __name__ == "__main__":
    main()
