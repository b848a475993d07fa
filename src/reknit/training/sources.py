"""Batches as a pure function of the step: passages from the token store, pairs from the miner, queries from lessons."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch

from reknit.data.batch import Batch
from reknit.data.lessons import Lessons
from reknit.data.order import EpochOrder, PackedOrder
from reknit.data.pairs import PairMiner, TextPair
from reknit.data.share import share_of
from reknit.data.taggers import TaggerName
from reknit.data.token_store import TokenStore
from reknit.recipe import DataSpec
from reknit.tokenizers.tokenizer import Tokenizer
from reknit.training.corpus import Corpus
from reknit.training.files import disk_full_explained, made_by_one
from reknit.training.run_folder import RunFolder
from reknit.training.team import Team


def open_token_store(
    folder: RunFolder, corpus: Corpus, tokenizer: Tokenizer, max_length: int, tagger: TaggerName = "none"
) -> TokenStore:
    """The training texts of the corpus as tokens on disk; made once in a run for each tagger."""
    path = folder.data / (f"tokens-{max_length}" + ("" if tagger == "none" else f"-{tagger}"))
    with made_by_one(path), disk_full_explained(str(path)):
        if not path.exists():
            TokenStore.build(corpus.training_texts(), tokenizer, path, max_length=max_length, tagger=tagger)
    return TokenStore.open(path)


class SharedBatches:
    """This process's share of the batches of all."""

    def __init__(self, batches: Callable[[int], Batch], team: Team) -> None:
        self.batches, self.team = batches, team

    def __call__(self, step: int) -> Batch:
        return share_of(self.batches(step), self.team.rank, self.team.size)


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


class QueryBatches:
    """Packed batches of pseudo-queries with their lessons, in a fresh order each epoch.

    prefix: what the start model expects before a query, "" for most.
    """

    def __init__(self, lessons: Lessons, tokenizer: Tokenizer, spec: DataSpec, seed: int, *, prefix: str = "") -> None:
        self.lessons, self.tokenizer, self.spec, self.prefix = lessons, tokenizer, spec, prefix
        self.order = EpochOrder(len(lessons), seed)
        self.batches_per_epoch = max(1, len(lessons) // spec.pairs_per_batch)

    def __call__(self, step: int) -> Batch:
        epoch, place = divmod(step, self.batches_per_epoch)
        first = place * self.spec.pairs_per_batch
        numbers = self.order(epoch)[first : first + self.spec.pairs_per_batch].tolist()
        texts = [self.prefix + self.lessons.texts[number] for number in numbers]
        batch = self.tokenizer.pack(texts, self.spec.query_max_length)
        return replace(batch, lesson=self.lessons.lesson(numbers))


class PairBatches:
    """Packed batches of mined text pairs: query, passage, query, passage ...

    query_prefix, passage_prefix: what the start model expects before its texts (its prompts), "" for most.
    """

    def __init__(
        self,
        miner: PairMiner,
        tokenizer: Tokenizer,
        spec: DataSpec,
        *,
        query_prefix: str = "",
        passage_prefix: str = "",
    ) -> None:
        self.miner = miner
        self.tokenizer = tokenizer
        self.spec = spec
        self.prefixes = (query_prefix, passage_prefix)
        self.batches_per_epoch = max(1, len(miner) // spec.pairs_per_batch)

    def __call__(self, step: int) -> Batch:
        pairs = self.pairs(step)
        query, passage = self.prefixes
        texts = [text for pair in pairs for text in (query + pair.query, passage + pair.passage)]
        limits = [self.spec.query_max_length, self.spec.max_length] * len(pairs)
        groups = torch.tensor([pair.group for pair in pairs])
        return self.tokenizer.pack(texts, limits, sequences_per_example=2, groups=groups)

    def pairs(self, step: int) -> list[TextPair]:
        """The text pairs of one step."""
        epoch, place = divmod(step, self.batches_per_epoch)
        first = place * self.spec.pairs_per_batch
        last = min(first + self.spec.pairs_per_batch, len(self.miner))
        return [self.miner.pair(index, epoch) for index in range(first, last)]
