"""What does a second search by the best hits of a first one give? Measured on start models, without any training.

    python benchmarks/measure_feedback.py --start MODEL [--start MODEL] COLLECTION... --cache FOLDER

For each collection (BEIR folders), words with the first model and words with all of them (equal parts of words and
vectors), the difference in nDCG@10 that each setting of the feedback makes, and its standard error. Written to
records/adaptation/feedback.json; collections that it has already are left out. Prints the table of docs/adaptation.md.
"""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from adaptation_page import feedback_table
from measure_probe import Remembered

from reknit.api import load_embedder
from reknit.evaluation.beir import load_beir
from reknit.evaluation.retrieval import sides_of
from reknit.evaluation.system_values import ndcg_values
from reknit.jobs.files import read_json, write_json
from reknit.jobs.machine import machine, versions
from reknit.retrieval.feedback import Feedback
from reknit.retrieval.fusion import EQUAL_PARTS
from reknit.retrieval.system import SearchSystem

RECORD = Path(__file__).parents[1] / "records" / "adaptation" / "feedback.json"
SETTINGS = {
    f"{hits} hits, words {share:g}, vectors {weight:g}": Feedback(hits, words_share=share, vector_weight=weight)
    for hits, share, weight in product((3, 5, 10), (0.2, 0.5), (0.2, 0.5))
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("collections", nargs="+", type=Path)
    parser.add_argument("--start", action="append", required=True)
    parser.add_argument("--cache", type=Path, required=True)
    given = parser.parse_args()
    record: dict[str, Any] = read_json(RECORD) if RECORD.exists() else {"collections": {}}
    encoders = {
        Path(path).parent.name if Path(path).name == "model" else Path(path).name: Remembered(
            given.cache / f"{model.name}.npz", model
        )
        for path in given.start
        for model in [load_embedder(path)]
    }
    for folder in given.collections:
        if folder.name in record["collections"]:
            continue
        record["collections"][folder.name] = measured(folder, encoders)
        record |= {
            "command": " ".join(["benchmarks/measure_feedback.py", *sys.argv[1:]]),
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "machine": machine(),
            "versions": versions(),
        }
        write_json(RECORD, record)
    print(feedback_table(record["collections"]))


def measured(folder: Path, encoders: dict[str, Remembered]) -> dict[str, Any]:
    """{models of the system: its nDCG@10 without feedback, and what each setting changes}."""
    collection = load_beir(folder)
    sides = sides_of(collection, encoders)
    names = list(encoders)
    asked = {" and ".join(models): SearchSystem.of(models, EQUAL_PARTS) for models in (names[:1], names)}
    found = {}
    for label, plain in asked.items():
        systems = {"": plain} | {
            setting: SearchSystem(plain.weights, feedback) for setting, feedback in SETTINGS.items()
        }
        values = ndcg_values(collection, sides, systems)
        changes = {setting: values[setting] - values[""] for setting in SETTINGS}
        found[label] = {
            "without": float(values[""].mean()),
            "changes": {
                setting: {"mean": float(of.mean()), "standard_error": float(of.std(ddof=1) / np.sqrt(len(of)))}
                for setting, of in changes.items()
            },
        }
    for encode in encoders.values():
        encode.save()
    return found


if __name__ == "__main__":
    main()
