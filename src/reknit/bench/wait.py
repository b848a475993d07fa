"""How long training stands still for its next batch, recipe by recipe; nothing is compared."""

from __future__ import annotations

import tempfile
from dataclasses import asdict
from pathlib import Path
from statistics import median

from reknit.bench.contest import Contestant, Turns, hold
from reknit.bench.material import WORDS_PER_TOKEN, documents, start_model, write_texts
from reknit.bench.result import Row, Side
from reknit.jobs.precision import best_device, resolve_precision

RECIPES = ("mlm", "retromae", "dupmae", "simcse")
STEPS = 2
TOKENS_PER_BATCH = 4096
TARGET = 0.03


def waiting_rows(max_lengths: tuple[int, ...], turns: int) -> list[Row]:
    """The share of a step's time that passes before its batch is on the device, all-MiniLM trained by each recipe."""
    with tempfile.TemporaryDirectory() as made:
        texts = write_texts([asdict(document) for document in documents()], Path(made) / "documents.jsonl")
        return [_measure(recipe, max_length, turns, texts) for max_length in max_lengths for recipe in RECIPES]


def _measure(recipe: str, max_length: int, turns: int, texts: Path) -> Row:
    precision = resolve_precision("auto", best_device())
    settings = {
        "seed": 0,
        "recipe": recipe,
        "model": str(start_model()),
        "documents": str(texts),
        "max_length": max_length,
        "passage_words": int(max_length * WORDS_PER_TOKEN),
        "tokens_per_batch": TOKENS_PER_BATCH,
        "steps": STEPS,
        "precision": precision,
    }
    with tempfile.TemporaryDirectory() as folder:
        (done,) = hold([Contestant("reknit", "reknit.bench.sides.wait", settings, precision)], turns, Path(folder))
    work = f"waiting for batches, {recipe}, lengths up to {max_length}"
    notes = {"warm_up": _share(done.ready)}
    return Row("data", work, "of a step", _side(done), None, {}, target=TARGET, lower=True, notes=notes)


def _side(done: Turns) -> Side:
    shares = [_share(turn) for turn in done.turns]
    name, precision = done.contestant.name, done.contestant.precision
    return Side(name, precision, median(shares), min(shares), max(shares), peak_rss_mb=done.peak_rss_mb)


def _share(turn: dict[str, float]) -> float:
    return turn["waited"] / turn["seconds"]
