"""Batches of single passages from the token store, each a pure function of the step."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from reknit.data.batch import Batch
from reknit.data.order import PackedOrder
from reknit.data.text.corpus import Corpus
from reknit.data.text.taggers import TaggerName
from reknit.jobs.files import disk_full_explained, made_by_one
from reknit.models.embedding_model import EmbeddingModel
from reknit.ranges import PositiveInt
from reknit.sources.source import Source
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


@dataclass(frozen=True)
class PassageSpec(DataSpec):
    """Single texts, packed without padding."""

    max_length: PositiveInt = 128
    """Tokens of a text, at most; what is longer is cut."""
    tokens_per_batch: PositiveInt = 4096
    """Packed tokens of a training step, those of all processes together."""
    tagger: TaggerName = "none"
    """Words whose tokens are tagged (`data/text/taggers.py`), for objectives that need to know them: "linguistic" for
    names, nouns and verbs of English, "code" for identifiers of Python, "none" for no tags.
    """
    below: str = ""
    """Train only on the files of the corpus whose path below its folder begins with this, such as "es/"; empty for all
    files.
    """

    def open(self, corpus: Corpus, model: EmbeddingModel, folder: Path, seed: int) -> PassageBatches:
        length = min(self.max_length, model.max_length)
        store = open_token_store(folder, corpus.training_texts(), model.tokenizer, length, self.tagger)
        return PassageBatches(store, self.tokens_per_batch, seed, corpus.passages_below(self.below))

    @property
    def longest(self) -> int:
        return self.max_length

    @property
    def room(self) -> int:
        return self.tokens_per_batch // self.max_length

    def with_room(self, examples: int) -> str:
        return f"tokens_per_batch={examples * self.max_length}"

    def check(self, corpus: Corpus, name: str) -> None:
        corpus.passages_below(self.below)

    def as_compared(self, max_length: int, tokens_per_batch: int) -> PassageSpec:
        return replace(self, max_length=max_length, tokens_per_batch=tokens_per_batch)


class PassageBatches(Source):
    """Packed batches of single passages, length-aware, each passage once an epoch; tagged where the store is.

    passages: [k] numbers of those that are trained on, None for all. The store holds all: runs on different parts of a
    corpus share it.
    """

    def __init__(self, store: TokenStore, tokens_per_batch: int, seed: int, passages: np.ndarray | None = None) -> None:
        self.store, self.passages = store, passages
        lengths = store.lengths if passages is None else store.lengths[passages]
        self.order = PackedOrder(lengths, tokens_per_batch, seed)

    def __call__(self, step: int) -> Batch:
        chosen = self.order.batch_indices(step)
        return self.store.batch(chosen if self.passages is None else self.passages[chosen])
