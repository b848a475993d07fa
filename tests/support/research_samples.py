"""Small labelled folders and a tiny comparison."""

from __future__ import annotations

import json
import random
from itertools import pairwise
from pathlib import Path

from small_corpus import THINGS, small_documents, write_small_corpus


def classes(folder: Path, texts: int = 60) -> Path:
    """Two classes told apart by the things they name."""
    chance = random.Random(0)
    folder.mkdir(parents=True)
    for split in ("train", "test"):
        lines = ["label\ttext"]
        for number in range(texts):
            things = THINGS[:12] if number % 2 else THINGS[12:]
            label = "early" if number % 2 else "late"
            lines.append(f"{label}\tThe {chance.choice(things)} and the {chance.choice(things)}.")
        (folder / f"{split}.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def pairs(folder: Path) -> Path:
    """Sentence pairs, the more alike the higher their score."""
    folder.mkdir(parents=True)
    lines = ["score\tsentence1\tsentence2"]
    for number, (one, other) in enumerate(pairwise(THINGS)):
        lines.append(f"{5 if number % 2 else 1}\tThe {one} turns.\tThe {one if number % 2 else other} turns.")
    (folder / "test.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def collection(folder: Path) -> Path:
    """A BEIR folder whose queries are titles."""
    (folder / "qrels").mkdir(parents=True)
    documents = small_documents(20, seed=5)
    queries = [{"_id": f"q{n}", "text": one["title"]} for n, one in enumerate(documents)]
    qrels = ["query-id\tcorpus-id\tscore", *(f"q{n}\t{one['_id']}\t1" for n, one in enumerate(documents))]
    bodies = [{"_id": one["_id"], "title": "", "text": one["text"]} for one in documents]
    for name, rows in (("corpus.jsonl", bodies), ("queries.jsonl", queries)):
        (folder / name).write_text("\n".join(map(json.dumps, rows)) + "\n", encoding="utf-8")
    (folder / "qrels" / "test.tsv").write_text("\n".join(qrels) + "\n", encoding="utf-8")
    return folder


def sentences(folder: Path) -> Path:
    """Pairs of sentences, one paradigm."""
    folder.mkdir(parents=True)
    lines = [
        json.dumps({"sentence_good": f"The {one} turns the {other}.", "sentence_bad": f"The turns {one} {other} the."})
        for one, other in pairwise(THINGS)
    ]
    (folder / "order.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def material(folder: Path) -> tuple[Path, list[Path]]:
    """(corpus, a labelled folder of each kind)."""
    folder.mkdir(parents=True, exist_ok=True)
    corpus = write_small_corpus(folder / "corpus.jsonl")
    return corpus, [collection(folder / "search"), classes(folder / "classes"), pairs(folder / "pairs")]


SETTINGS = (
    "encoder.dim=32",
    "encoder.depth=2",
    "encoder.heads=2",
    "encoder.intermediate=64",
    "encoder.vocabulary=300",
    "tokens_per_batch=512",
    "tuning_budget.tokens=2000",
    "curve_points=2",
    "precision=float32",
)
