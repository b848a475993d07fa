"""Batches of mined text pairs, each a pure function of the step."""

from __future__ import annotations

import torch

from reknit.data.batch import Batch
from reknit.sources.pair_miner import PairMiner, TextPair
from reknit.sources.spec import DataSpec
from reknit.tokenizers.tokenizer import Tokenizer


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
