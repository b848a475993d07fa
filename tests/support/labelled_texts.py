"""Labelled texts that a tiny model can learn, in memory and as files."""

from __future__ import annotations

import random
from pathlib import Path

from small_corpus import THINGS

from reknit.evaluation.classification import ClassificationSet, LabelledText


def labelled(texts: int, seed: int) -> list[LabelledText]:
    """Two labels told apart by the things they name."""
    chance = random.Random(seed)
    made = []
    for number in range(texts):
        label, things = ("early", THINGS[:12]) if number % 2 else ("late", THINGS[12:])
        made.append((label, f"The {chance.choice(things)} and the {chance.choice(things)} of number {number}."))
    return made


def labelled_set(train: int = 60, test: int = 40) -> ClassificationSet:
    return ClassificationSet("toy", labelled(train, seed=0), labelled(test, seed=1))


def write_tsv(path: Path, rows: list[LabelledText], header: str = "label\ttext") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [header, *(f"{label}\t{text}" for label, text in rows)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path
