"""Which rule should choose the hybrid's weight from the probe? Tried on a start model, without any training.

    python benchmarks/measure_hybrid_weight.py START COLLECTION... --out records/adaptation/hybrid-weight-rules.json

START is a model's folder or hub id, each COLLECTION a BEIR folder. For each collection and the probes of three seeds,
every rule takes a weight by the probe's queries alone; what labels say of the hybrid at it is the rule's value. Prints
the table of docs/adaptation.md.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from reknit.api import load
from reknit.data.retrieval_set import RetrievalSet
from reknit.evaluation.beir import load_beir
from reknit.evaluation.probe import drop_shared_words
from reknit.evaluation.retrieval import sides_of
from reknit.evaluation.significance import distances_from_the_best, nearest_as_good
from reknit.evaluation.system_values import HYBRID_WEIGHTS, values_by_weight
from reknit.jobs.files import write_json
from reknit.jobs.machine import machine, versions
from reknit.models.encode_texts import EncodeTexts, cached, encoder_function
from reknit.recipe import BudgetSpec
from reknit.report.table import markdown_table
from reknit.retrieval.system import SearchSystem
from reknit.runs.config import RunConfig
from reknit.runs.corpus import prepare_corpus
from reknit.runs.run_folder import RunFolder

SEEDS = 3
WEIGHTS = np.array(HYBRID_WEIGHTS)


def best(values: np.ndarray) -> float:
    return float(WEIGHTS[values.mean(axis=1).argmax()])


def weighted_mean(values: np.ndarray, prior: np.ndarray | float = 1.0) -> float:
    """The mean of all weights, each by exp(-t^2 / 2), where t is its distance from the best in standard errors."""
    distances, errors = distances_from_the_best(values)
    chances = np.exp(-((distances / np.maximum(errors, 1e-9)) ** 2) / 2) * prior
    return float(chances @ WEIGHTS / chances.sum())


RULES: dict[str, Callable[[np.ndarray], float]] = {
    "nearest to .5 within two standard errors (default)": lambda values: nearest_as_good(HYBRID_WEIGHTS, values, 0.5),
    "within one and a half": lambda values: nearest_as_good(HYBRID_WEIGHTS, values, 0.5, 1.5),
    "within one": lambda values: nearest_as_good(HYBRID_WEIGHTS, values, 0.5, 1.0),
    "nearest to .6 within two": lambda values: nearest_as_good(HYBRID_WEIGHTS, values, 0.6),
    "half of the way from the default's to the best weight": lambda values: (
        (nearest_as_good(HYBRID_WEIGHTS, values, 0.5) + best(values)) / 2
    ),
    "the best weight by the probe": best,
    "mean of all weights, each by its chance to be the best": weighted_mean,
    "the same times a normal prior about .5, deviation .2": lambda values: weighted_mean(
        values, np.exp(-(((WEIGHTS - 0.5) / 0.2) ** 2) / 2)
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("start")
    parser.add_argument("collections", nargs="+", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    words = parser.parse_args()
    model = load(words.start)
    found = {folder.name: tried_on(folder, cached(encoder_function(model))) for folder in words.collections}
    record = {
        "command": " ".join(["benchmarks/measure_hybrid_weight.py", *sys.argv[1:]]),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "versions": versions(),
        "weights": list(HYBRID_WEIGHTS),
        "collections": found,
    }
    write_json(words.out, record)
    rows = []
    for rule in RULES:
        means = [np.mean([value for _, value in one["rules"][rule]]) for one in found.values()]
        rows.append([rule, *(f"{value:.3f}" for value in (*means, np.mean(means)))])
    print(markdown_table(["rule", *found, "mean"], rows))


def tried_on(folder: Path, encode: EncodeTexts) -> dict[str, object]:
    """What labels and probes say of every weight, and of each rule [seeds] (weight, nDCG@10 by labels)."""
    collection = load_beir(folder)
    labels = hybrid_values(collection, encode, split_identifiers=True).mean(axis=1)
    probes = []
    for seed in range(SEEDS):
        config = RunConfig(corpus=str(folder), budget=BudgetSpec(seconds=600), seed=seed)
        with tempfile.TemporaryDirectory() as scratch:
            corpus = prepare_corpus(config, RunFolder(Path(scratch)), set(collection.queries.values()))
            probes.append(hybrid_values(drop_shared_words(corpus.held_out.whole), encode))
    return {
        "labels": labels.tolist(),
        "probes": [values.mean(axis=1).tolist() for values in probes],
        "rules": {
            name: [(weight, float(np.interp(weight, WEIGHTS, labels))) for weight in map(rule, probes)]
            for name, rule in RULES.items()
        },
    }


def hybrid_values(collection: RetrievalSet, encode: EncodeTexts, *, split_identifiers: bool = False) -> np.ndarray:
    """[weights, queries] nDCG@10 of words and the model at each of HYBRID_WEIGHTS."""
    sides = sides_of(collection, {"model": encode}, split_identifiers=split_identifiers)
    return values_by_weight(collection, sides, {"hybrid": SearchSystem.of(["model"], 0.5)})["hybrid"]


if __name__ == "__main__":
    main()
