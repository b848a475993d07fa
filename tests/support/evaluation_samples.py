"""Small synthetic collections and evaluations for the evaluation tests."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from reknit.data.retrieval_set import RetrievalSet
from reknit.evaluation.metrics import mean
from reknit.evaluation.scores import Evaluation, Score

REAL = Path(__file__).resolve().parents[3] / "shared" / "data" / "retrieval"
WORDS = ["amber", "birch", "cedar", "dune", "ember", "fjord", "grove", "heath"]


def topic_collection(queries: int = 30, documents: int = 150, name: str = "topics") -> RetrievalSet:
    """Every query shares one rare word with its one relevant document."""
    texts = {f"d{i:03}": f"common words about topic{i} and more" for i in range(documents)}
    return RetrievalSet(
        name=name,
        documents=texts,
        queries={f"q{i:03}": f"what is topic{i}" for i in range(queries)},
        qrels={f"q{i:03}": {f"d{i:03}": 1} for i in range(queries)},
        notes=("made up",),
    )


def numbered_collection(documents: int = 40) -> RetrievalSet:
    """Every query is the number of its one answer."""
    texts = {f"d{n}": f"{WORDS[n % 8]} {WORDS[n // 8 % 8]} text number{n}" for n in range(documents)}
    queries = {f"q{n}": f"number{n}" for n in range(8)}
    return RetrievalSet("probe-dev", texts, queries, {f"q{n}": {f"d{n}": 1} for n in range(8)})


def knows_everything(texts: list[str], kind: str) -> np.ndarray:
    """A model of the numbers in `numbered_collection`."""
    vectors = np.zeros((len(texts), 64), dtype=np.float32)
    vectors[np.arange(len(texts)), [int(text.rsplit("number", 1)[1]) for text in texts]] = 1.0
    return vectors


def made_evaluation(name: str, systems: Mapping[str, np.ndarray]) -> Evaluation:
    """An evaluation with the given nDCG@10 of each query."""
    scores = {
        system: {"nDCG@10": {f"q{i}": float(value) for i, value in enumerate(values)}}
        for system, values in systems.items()
    }
    rows = {system: {"nDCG@10": Score(mean(of["nDCG@10"]), (0.0, 1.0))} for system, of in scores.items()}
    return Evaluation(name, len(next(iter(systems.values()))), 10, rows=rows, per_query=scores)


def write_beir(
    folder: Path,
    *,
    corpus: list[dict] | str,
    queries: list[dict] | str,
    qrels: str | None,
    split: str = "test",
) -> Path:
    """Write a BEIR folder; a list of records becomes JSON lines, a string is written as it is."""
    (folder / "qrels").mkdir(parents=True, exist_ok=True)
    for name, content in (("corpus", corpus), ("queries", queries)):
        text = content if isinstance(content, str) else "".join(json.dumps(record) + "\n" for record in content)
        (folder / f"{name}.jsonl").write_bytes(text.encode("utf-8"))
    if qrels is not None:
        (folder / "qrels" / f"{split}.tsv").write_bytes(qrels.encode("utf-8"))
    return folder
