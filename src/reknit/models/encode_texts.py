"""Models as functions: a function from texts to vectors."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Literal

import numpy as np

from reknit.jobs.memory import MemoryKeeper
from reknit.jobs.precision import PrecisionChoice, best_device, resolve_precision
from reknit.jobs.progress import Progress
from reknit.models.embedder import Embedder

EncodeTexts = Callable[[list[str], Literal["query", "document"]], np.ndarray]
"""Texts and what they are -> [texts, dim] float32; the dot product of two rows is their similarity."""

# Fewer texts than this are encoded before a person would look at a progress bar.
_WORTH_A_BAR = 2000


def encoder_function(
    model: Embedder,
    precision: PrecisionChoice = "auto",
    *,
    quiet: bool = False,
    layers: int | None = None,
    dims: int | None = None,
) -> EncodeTexts:
    """An `Encode` of the model as it is at each call, with its own query and document prompts where it has them.

    The dot product of two rows is the model's similarity. quiet: never show progress; otherwise it is shown for long
    lists of texts. layers, dims: of an elastic model, None for all.
    """

    keep_memory = MemoryKeeper()

    def encode(texts: list[str], kind: Literal["query", "document"]) -> np.ndarray:
        chosen = resolve_precision(precision, best_device())
        with Progress(quiet=quiet or len(texts) < _WORTH_A_BAR) as progress:
            progress.start("encode", len(texts), "texts")
            vectors = model.encode(
                texts, prompt_name=kind, layers=layers, dims=dims, precision=chosen, on_progress=progress.update
            )
        keep_memory()
        return model.comparable(vectors)

    return encode


def cached(encode: EncodeTexts, megabytes: float = 150.0) -> EncodeTexts:
    """`encode` for a model that no longer changes: a run needs the vectors of its corpus for teaching, for the probe's
    halves, for labelled collections and for the index, and what it has met before it does not encode again.

    megabytes: of the vectors that are kept at most, the first ones (of 384 dimensions 98,000).
    """
    kept: dict[bytes, np.ndarray] = {}

    def remembered(texts: list[str], kind: Literal["query", "document"]) -> np.ndarray:
        if not texts:
            return encode(texts, kind)
        keys = [_digest(f"{kind} {text}") for text in texts]
        new = {key: text for key, text in zip(keys, texts, strict=True) if key not in kept}
        vectors = dict(zip(new, encode(list(new.values()), kind), strict=True)) if new else {}
        found = np.stack([vectors[key] if key in vectors else kept[key] for key in keys])
        room = int(megabytes * 1e6 / found[0].nbytes) - len(kept)
        for key in list(new)[: max(room, 0)]:
            kept[key] = vectors[key].copy()
        return found

    return remembered


def _digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
