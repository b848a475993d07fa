"""Batches of mined text pairs, each a pure function of the step."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from reknit.data.batch import Batch
from reknit.data.text.corpus import Corpus
from reknit.errors import ReknitError
from reknit.models.embedding_model import EmbeddingModel
from reknit.ranges import PositiveInt
from reknit.sources.pair_miner import PairKind, PairMiner, TextPair
from reknit.sources.source import Source
from reknit.sources.spec import DataSpec
from reknit.tokenizers.tokenizer import Tokenizer


@dataclass(frozen=True)
class PairSpec(DataSpec):
    """Pairs of texts that are mined from the corpus (`sources/pair_miner.py`)."""

    pair_kinds: tuple[PairKind, ...] = ()
    """Kinds of pairs that are mined: title, neighbour, crop, sentences, twin, span-mask, deletion or reorder. A kind
    that is named several times is drawn that much more often.
    """
    max_length: PositiveInt = 128
    """Tokens of the second text of a pair, at most; what is longer is cut."""
    pairs_per_batch: PositiveInt = 64
    """Pairs of a training step, those of all processes together; more give each query more negatives and take more
    memory.
    """
    query_max_length: PositiveInt = 64
    """Tokens of the first text of a pair, at most; what is longer is cut."""
    pairs_per_document: PositiveInt = 1
    """Pairs of one document that come next to each other, as far as it has them; 2 or more give an objective negatives
    from the same document.
    """
    below: str = ""
    """Train only on the files of the corpus whose path below its folder begins with this, such as "es/"; empty for all
    files.
    """

    def open(self, corpus: Corpus, model: EmbeddingModel, folder: Path, seed: int) -> PairBatches:
        miner = PairMiner(
            corpus.store,
            self.pair_kinds,
            corpus.held_out,
            seed,
            model.tokenizer.mask_token,
            corpus.passages_below(self.below),
            self.pairs_per_document,
        )
        limits = min(self.query_max_length, model.max_length), min(self.max_length, model.max_length)
        prefixes = model.prompt_text("query"), model.prompt_text("document")
        return PairBatches(miner, model.tokenizer, self.pairs_per_batch, limits, prefixes)

    @property
    def longest(self) -> int:
        return self.max_length

    @property
    def room(self) -> int:
        return self.pairs_per_batch

    def with_room(self, examples: int) -> str:
        return f"pairs_per_batch={examples}"

    def check(self, corpus: Corpus, name: str) -> None:
        corpus.passages_below(self.below)
        if corpus.store.num_documents == 1:
            raise ReknitError(
                f"{name} tells documents apart and {corpus.name} is a single one: give its text as several files or "
                "lines, or start from a trained model"
            )


class PairBatches(Source):
    """Packed batches of mined text pairs: query, passage, query, passage ...

    limits: tokens of a query and of a passage at most. prefixes: what the start model expects before its texts (its
    prompts), "" for most.
    """

    def __init__(
        self,
        miner: PairMiner,
        tokenizer: Tokenizer,
        pairs_per_batch: int,
        limits: tuple[int, int],
        prefixes: tuple[str, str] = ("", ""),
    ) -> None:
        self.miner, self.tokenizer, self.pairs_per_batch = miner, tokenizer, pairs_per_batch
        self.limits, self.prefixes = limits, prefixes
        self.batches_per_epoch = max(1, len(miner) // pairs_per_batch)

    def __call__(self, step: int) -> Batch:
        pairs = self.pairs(step)
        query, passage = self.prefixes
        texts = [text for pair in pairs for text in (query + pair.query, passage + pair.passage)]
        groups = torch.tensor([pair.group for pair in pairs])
        return self.tokenizer.pack(texts, list(self.limits) * len(pairs), sequences_per_example=2, groups=groups)

    def pairs(self, step: int) -> list[TextPair]:
        """The text pairs of one step."""
        epoch, place = divmod(step, self.batches_per_epoch)
        first = place * self.pairs_per_batch
        last = min(first + self.pairs_per_batch, len(self.miner))
        return [self.miner.pair(index, epoch) for index in range(first, last)]
