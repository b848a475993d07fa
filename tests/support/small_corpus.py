"""A small corpus with structure to learn: each document has a title and a body about the same few things."""

from __future__ import annotations

import json
import random
from pathlib import Path

THINGS = [f"{first}{last}" for first in ("bar", "cel", "dor", "fen", "gil", "hom") for last in ("ak", "et", "ip", "on")]
VERBS = ["turns", "holds", "feeds", "breaks", "lifts", "covers", "joins", "cools"]


def spelt(number: int) -> str:
    """A number in letters, for titles that differ in more than numbers."""
    return "".join("abcdefghij"[int(digit)] for digit in str(number))


def small_documents(documents: int, seed: int = 0) -> list[dict[str, str]]:
    """Documents {_id, title, text} with distinct titles."""
    chance = random.Random(seed)
    made = []
    for number in range(documents):
        about = chance.sample(THINGS, 3)
        sentences = []
        for _ in range(8):
            one, verb, other = chance.choice(about), chance.choice(VERBS), chance.choice(about)
            sentences.append(f"The {one} {verb} the {other} in case {chance.randrange(99)}.")
        title = f"{' and '.join(about)} number {number}"
        made.append({"_id": f"d{number}", "title": title, "text": " ".join(sentences)})
    return made


def write_small_corpus(path: Path, documents: int = 60, seed: int = 0) -> Path:
    """Write the documents as JSON lines and return the path."""
    lines = [json.dumps(document) for document in small_documents(documents, seed)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path
