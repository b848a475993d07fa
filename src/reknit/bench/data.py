"""Batches made ready: how fast, against RetroMAE's own collator, and how long training waits for them."""

from __future__ import annotations

import tempfile
from pathlib import Path

from reknit.bench.contest import Contestant, hold
from reknit.bench.material import batch_order, check_names, natural_texts, start_model, token_lengths, write_texts
from reknit.bench.result import Row, compared
from reknit.bench.wait import waiting_rows

NAMES = ("retromae-collator",)
TARGETS = {"retromae-collator": 20.0}
MAX_LENGTHS = (128, 512)
STEPS = 2


def bench_data(against: tuple[str, ...], turns: int) -> list[Row]:
    """Tokenise, pack and corrupt for RetroMAE, decoder masks included, in one process and one thread; then the waits.

    Raises ReknitError for an unknown name.
    """
    check_names("data", against, NAMES)
    rows = []
    for max_length in MAX_LENGTHS:
        for name in against:
            with tempfile.TemporaryDirectory() as folder:
                texts = natural_texts(max_length)
                lengths = token_lengths(texts, start_model(), max_length)
                settings = {
                    "seed": 0,
                    "model": str(start_model()),
                    "texts": str(write_texts(texts, Path(folder) / "texts.jsonl")),
                    "max_length": max_length,
                    "order": batch_order(lengths, (turns + 1) * STEPS, grouped=True),
                    "steps": STEPS,
                }
                ours = Contestant("reknit", "reknit.bench.sides.data", settings)
                theirs = Contestant(name, "retromae_collator.py", settings, older=True)
                first, second = hold([ours, theirs], turns, Path(folder))
            work = f"RetroMAE's batches ready, lengths up to {max_length}"
            rows.append(compared("data", work, first, second, unit="tokens", target=TARGETS[name]))
    return rows + waiting_rows(MAX_LENGTHS, turns)
