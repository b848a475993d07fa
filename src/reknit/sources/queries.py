"""Batches of pseudo-queries with a teacher's ranking, each a pure function of the step."""

from __future__ import annotations

from dataclasses import replace

from reknit.data.batch import Batch
from reknit.data.order import EpochOrder
from reknit.sources.distillation_targets import DistillationTargets
from reknit.sources.spec import DataSpec
from reknit.tokenizers.tokenizer import Tokenizer


class QueryBatches:
    """Packed batches of pseudo-queries with their lessons, in a fresh order each epoch.

    prefix: what the start model expects before a query, "" for most.
    """

    def __init__(
        self, lessons: DistillationTargets, tokenizer: Tokenizer, spec: DataSpec, seed: int, *, prefix: str = ""
    ) -> None:
        self.lessons, self.tokenizer, self.spec, self.prefix = lessons, tokenizer, spec, prefix
        self.order = EpochOrder(len(lessons), seed)
        self.batches_per_epoch = max(1, len(lessons) // spec.pairs_per_batch)

    def __call__(self, step: int) -> Batch:
        epoch, place = divmod(step, self.batches_per_epoch)
        first = place * self.spec.pairs_per_batch
        numbers = self.order(epoch)[first : first + self.spec.pairs_per_batch].tolist()
        texts = [self.prefix + self.lessons.texts[number] for number in numbers]
        batch = self.tokenizer.pack(texts, self.spec.query_max_length)
        return replace(batch, teacher_targets=self.lessons.of(numbers))
