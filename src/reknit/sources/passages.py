"""Batches of single passages from the token store, each a pure function of the step."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from reknit.data.batch import Batch
from reknit.data.order import PackedOrder
from reknit.data.text.taggers import TaggerName
from reknit.jobs.files import disk_full_explained, made_by_one
from reknit.sources.spec import DataSpec
from reknit.sources.token_store import TokenStore
from reknit.tokenizers.tokenizer import Tokenizer


def open_token_store(
    folder: Path, texts: Iterable[str], tokenizer: Tokenizer, max_length: int, tagger: TaggerName = "none"
) -> TokenStore:
    """The training texts of a corpus as tokens on disk, below `folder`; made once in a run for each tagger.

    texts: read only where there is no store yet.
    """
    path = folder / (f"tokens-{max_length}" + ("" if tagger == "none" else f"-{tagger}"))
    with made_by_one(path), disk_full_explained(str(path)):
        if not path.exists():
            TokenStore.build(texts, tokenizer, path, max_length=max_length, tagger=tagger)
    return TokenStore.open(path)


class PassageBatches:
    """Packed batches of single passages, length-aware, each passage once an epoch; tagged where the store is.

    passages: [k] numbers of those that are trained on, None for all. The store holds all: runs on different parts of a
    corpus share it.
    """

    def __init__(self, store: TokenStore, spec: DataSpec, seed: int, passages: np.ndarray | None = None) -> None:
        self.store, self.passages = store, passages
        lengths = store.lengths if passages is None else store.lengths[passages]
        self.order = PackedOrder(lengths, spec.tokens_per_batch, seed)

    def __call__(self, step: int) -> Batch:
        chosen = self.order.batch_indices(step)
        return self.store.batch(chosen if self.passages is None else self.passages[chosen])
