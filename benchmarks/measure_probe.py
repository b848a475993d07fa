"""Does the probe rank search systems as labels do? Measured on start models, without any training.

    python benchmarks/measure_probe.py --start MODEL [--start MODEL] COLLECTION... --cache FOLDER
        [--out records/adaptation/probe.json]

For each collection (BEIR folders): all systems of the start models (words, vectors with and without query expansion,
together and alone) on the labelled queries and on probes of two sizes. Written: the rank correlation (Spearman) of
probe and labels over the systems, and what labels say of the system that the probe chooses. Collections that the record
already has are left out, and vectors are kept in the cache, so the script can be stopped. Prints the table of
docs/adaptation.md.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import tempfile
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import numpy as np
from adaptation_page import probe_table
from scipy.stats import spearmanr

from reknit.adaptation.candidate import START, Candidate
from reknit.adaptation.candidate_systems import candidate_systems
from reknit.adaptation.expansion import make_expansion
from reknit.adaptation.system_choice import choose, choose_row, cross_fitted_gain
from reknit.api import load_embedder
from reknit.data.retrieval_set import RetrievalSet
from reknit.data.text.corpus import Corpus
from reknit.evaluation.beir import load_beir
from reknit.evaluation.probe import drop_shared_words
from reknit.evaluation.system_values import HYBRID_WEIGHTS
from reknit.jobs.files import read_json, write_json
from reknit.jobs.machine import machine, versions
from reknit.models.embedder import Embedder
from reknit.models.encode_texts import EncodeTexts, encoder_function
from reknit.recipe import BudgetSpec
from reknit.runs.config import ExpansionSpec, ProbeSpec, RunConfig
from reknit.runs.corpus import prepare_corpus
from reknit.runs.run_folder import RunFolder

SIZES = {
    "400 in 2,000": ProbeSpec(queries=400, documents=2000),
    "2,000 in 8,000": ProbeSpec(queries=2000, documents=8000),
}
HAVE = "bm25+start"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("collections", nargs="+", type=Path)
    parser.add_argument("--start", action="append", required=True)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("records/adaptation/probe.json"))
    words = parser.parse_args()
    record = read_json(words.out) if words.out.exists() else {"collections": {}}
    models = {START if not number else Path(path).name: load_embedder(path) for number, path in enumerate(words.start)}
    encoders = {name: Remembered(words.cache / f"{model.name}.npz", model) for name, model in models.items()}
    for folder in words.collections:
        if folder.name not in record["collections"]:
            found = {name: measured(folder, models, encoders, size) for name, size in SIZES.items()}
            record["collections"][folder.name] = found
            about = {
                "command": " ".join(["benchmarks/measure_probe.py", *sys.argv[1:]]),
                "date": datetime.now(UTC).isoformat(timespec="seconds"),
                "machine": machine(),
                "versions": versions(),
            }
            write_json(words.out, about | {"collections": record["collections"]})
    print(probe_table(record["collections"]))


def measured(
    folder: Path, models: dict[str, Embedder], encoders: dict[str, Remembered], probe: ProbeSpec
) -> dict[str, Any]:
    """What labels and the probe say of every system, and what is chosen by each measure."""
    labelled = load_beir(folder)
    config = RunConfig(corpus=str(folder), budget=BudgetSpec(seconds=600), probe=probe)
    with tempfile.TemporaryDirectory() as scratch:
        reader: Any = models[START]
        corpus = prepare_corpus(config, RunFolder(Path(scratch)), set(labelled.queries.values()), reader=reader)
        asked = drop_shared_words(corpus.held_out.whole)
        candidates = [expanded(Candidate(name, models[name], encoders[name]), corpus, asked) for name in models]
        compared = candidate_systems(candidates)
        of_probe = compared.values(asked)
        of_labels = compared.values(labelled, split_identifiers=True)
    for encode in encoders.values():
        encode.save()
    rows = {name: choose_row(of) for name, of in of_probe.items()}
    labels = {name: float(of_labels[name][row].mean()) for name, row in rows.items()}
    probes = {name: float(of_probe[name][row].mean()) for name, row in rows.items()}
    chosen, gain = choose(of_probe).system, cross_fitted_gain([of_probe], HAVE, 0)
    best = max(labels, key=labels.__getitem__)
    return {
        "kind": corpus.held_out.kind,
        "queries": len(asked.queries),
        "systems": {
            name: {"weight": HYBRID_WEIGHTS[row], "labels": labels[name], "probe": probes[name]}
            for name, row in rows.items()
        },
        "spearman": float(spearmanr(list(labels.values()), list(probes.values())).statistic),
        "chosen": {"system": chosen, "labels": labels[chosen]},
        "best": {"system": best, "labels": labels[best]},
        "have": {"system": HAVE, "labels": labels[HAVE]},
        "gain": {"difference": gain.difference, "ci95": gain.ci95, "p": gain.p},
    }


def expanded(candidate: Candidate, corpus: Corpus, probe: RetrievalSet) -> Candidate:
    made = make_expansion(corpus, candidate.name, candidate.encode, ExpansionSpec(), probe, 0)
    return replace(candidate, expansion=made)


class Remembered:
    """An encoder whose vectors are kept in a file."""

    def __init__(self, path: Path, model: Embedder) -> None:
        self._path, self._model = path, model
        self._encode: EncodeTexts = encoder_function(model)
        self._new = 0
        self._kept: dict[bytes, np.ndarray] = {}
        if path.exists():
            stored = np.load(path)
            self._kept = dict(zip((key.tobytes() for key in stored["keys"]), stored["vectors"], strict=True))

    def __call__(self, texts: list[str], kind: Literal["query", "document"]) -> np.ndarray:
        before = self._model.prompt_text(kind)
        keys = [hashlib.blake2b((before + text).encode("utf-8", "replace"), digest_size=16).digest() for text in texts]
        new = {key: text for key, text in zip(keys, texts, strict=True) if key not in self._kept}
        if new:
            self._kept |= dict(zip(new, self._encode(list(new.values()), kind), strict=True))
            self._new += len(new)
        return np.stack([self._kept[key] for key in keys])

    def save(self) -> None:
        if self._new:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            keys = np.array([np.frombuffer(key, dtype=np.uint8) for key in self._kept])
            np.savez(self._path, keys=keys, vectors=np.stack(list(self._kept.values())))
            self._new = 0


if __name__ == "__main__":
    main()
