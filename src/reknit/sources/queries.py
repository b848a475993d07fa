"""Batches of pseudo-queries with a teacher's ranking, each a pure function of the step."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar

from reknit.data.batch import Batch
from reknit.data.order import EpochOrder
from reknit.data.text.corpus import Corpus
from reknit.errors import ReknitError
from reknit.models.embedding_model import EmbeddingModel
from reknit.sources.distillation_targets import DISTILLATION_TARGETS, DistillationTargets
from reknit.sources.source import Source
from reknit.sources.spec import DataSpec
from reknit.tokenizers.tokenizer import Tokenizer


@dataclass(frozen=True)
class TeacherSpec:
    """The teacher that ranks documents for pseudo-queries: BM25 and the start model together.

    documents, queries: at most so many passages are ranked, for so many pseudo-queries. queries_per_passage: at most.
    time_share: with a time budget, making the teacher may take about this share of it. neighbours: each document
    speaks for so many nearest ones too (good where questions have many answers, harmful where they have one; see
    docs/adaptation.md). neighbour_weight: their weight, all together, beside the document's own 1.
    temperature: divides the teacher's standard scores. ranked: documents kept of each ranking. epochs: the student sees
    every query at most so many times; a small corpus has few, and it would learn them by heart.
    """

    documents: int = 20_000
    queries: int = 20_000
    queries_per_passage: int = 8
    time_share: float = 0.3
    neighbours: int = 0
    neighbour_weight: float = 0.4
    temperature: float = 0.25
    ranked: int = 256
    epochs: float = 3.0

    def __post_init__(self) -> None:
        if not self.epochs > 0:
            raise ReknitError(f"teacher.epochs is {self.epochs}: it must be above 0")


@dataclass(frozen=True)
class QuerySpec(DataSpec):
    """Pseudo-queries of the whole corpus with a teacher's ranking of its passages.

    pairs_per_batch: queries of a step. query_max_length: tokens of a query at most. teacher: how the rankings are made
    (`adaptation/distillation.py` makes and stores them before training).
    """

    learns_from_start: ClassVar[bool] = True

    pairs_per_batch: int = 64
    query_max_length: int = 64
    teacher: TeacherSpec = field(default_factory=TeacherSpec)

    def open(self, corpus: Corpus, model: EmbeddingModel, folder: Path, seed: int) -> QueryBatches:
        targets = DistillationTargets.open(folder / DISTILLATION_TARGETS)
        limit = min(self.query_max_length, model.max_length)
        prefix = model.prompt_text("query")
        return QueryBatches(targets, model.tokenizer, self.pairs_per_batch, limit, seed, self.teacher.epochs, prefix)

    @property
    def longest(self) -> int:
        return self.query_max_length

    @property
    def room(self) -> int:
        return self.pairs_per_batch

    def with_room(self, examples: int) -> str:
        return f"pairs_per_batch={examples}"

    def check(self, corpus: Corpus, name: str) -> None:
        """Every corpus serves."""


class QueryBatches(Source):
    """Packed batches of pseudo-queries with their targets, in a fresh order each epoch.

    limit: tokens of a query at most. epochs: how often a query is seen at most. prefix: what the start model expects
    before a query, "" for most.
    """

    def __init__(
        self,
        targets: DistillationTargets,
        tokenizer: Tokenizer,
        queries_per_batch: int,
        limit: int,
        seed: int,
        epochs: float,
        prefix: str = "",
    ) -> None:
        self.targets, self.tokenizer, self.queries_per_batch = targets, tokenizer, queries_per_batch
        self.limit, self.prefix = limit, prefix
        self.order = EpochOrder(len(targets), seed)
        self.batches_per_epoch = max(1, len(targets) // queries_per_batch)
        self.steps = math.ceil(epochs * self.batches_per_epoch)
        self.about = f"{epochs:g} epochs of {len(targets)} pseudo-queries"
        self.seconds_spent = targets.facts["seconds"]

    def __call__(self, step: int) -> Batch:
        epoch, place = divmod(step, self.batches_per_epoch)
        first = place * self.queries_per_batch
        numbers = self.order(epoch)[first : first + self.queries_per_batch].tolist()
        batch = self.tokenizer.pack([self.prefix + self.targets.texts[number] for number in numbers], self.limit)
        return replace(batch, teacher_targets=self.targets.of(numbers))
