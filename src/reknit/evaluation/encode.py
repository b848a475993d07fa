"""Models as the evaluator wants them: a function from texts to vectors."""

from __future__ import annotations

from typing import Literal

import numpy as np

from reknit.encoders.embedding_model import EmbeddingModel
from reknit.evaluation.retrieval import Encode
from reknit.training.memory import MemoryKeeper
from reknit.training.precision import PrecisionChoice, best_device, resolve_precision
from reknit.training.progress import Progress

# Fewer texts than this are encoded before a person would look at a progress bar.
_WORTH_A_BAR = 2000


def encode_with(model: EmbeddingModel, precision: PrecisionChoice = "auto", *, quiet: bool = False) -> Encode:
    """An `Encode` of the model as it is at each call, with its own query and document prompts where it has them.

    The dot product of two rows is the model's similarity. quiet: never show progress; otherwise it is shown for long
    lists of texts.
    """

    keep_memory = MemoryKeeper()

    def encode(texts: list[str], kind: Literal["query", "document"]) -> np.ndarray:
        chosen = resolve_precision(precision, best_device())
        with Progress(quiet=quiet or len(texts) < _WORTH_A_BAR) as progress:
            progress.start("encode", len(texts), "texts")
            vectors = model.encode(texts, prompt_name=kind, precision=chosen, on_progress=progress.update)
        keep_memory()
        return model.comparable(vectors)

    return encode
