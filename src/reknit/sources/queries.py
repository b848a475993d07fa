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
from reknit.ranges import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt
from reknit.sources.distillation_targets import DISTILLATION_TARGETS, DistillationTargets
from reknit.sources.source import Source
from reknit.sources.spec import DataSpec
from reknit.tokenizers.tokenizer import Tokenizer


@dataclass(frozen=True)
class TeacherSpec:
    """The teacher that ranks passages for pseudo-queries: BM25 and the start model together."""

    documents: PositiveInt = 20_000
    """Passages that the teacher ranks, at most, drawn at random from the corpus."""
    queries: PositiveInt = 20_000
    """Pseudo-queries that the teacher ranks passages for, at most."""
    queries_per_passage: PositiveInt = 8
    """Pseudo-queries that are taken from one passage, at most."""
    time_share: NonNegativeFloat = 0.3
    """With a budget of time for training alone: about this fraction of it may be spent on computing the rankings."""
    neighbours: NonNegativeInt = 0
    """Nearest passages whose scores are mixed into each passage's score; helps when a query has many answers, hurts
    when it has one (docs/adaptation.md).
    """
    neighbour_weight: NonNegativeFloat = 0.4
    """Weight of all neighbours' scores together, beside 1 for the passage's own score."""
    temperature: PositiveFloat = 0.25
    """Divides the teacher's standard scores before the softmax; a larger value spreads its probability over more
    passages.
    """
    ranked: PositiveInt = 256
    """Passages that are kept of each ranking, the best ones."""
    epochs: PositiveFloat = 3.0
    """Times that the student sees each pseudo-query, at most; a small corpus has few of them, and the student would
    overfit.
    """

    def __post_init__(self) -> None:
        if not self.epochs > 0:
            raise ReknitError(f"teacher.epochs is {self.epochs}: it must be above 0")


@dataclass(frozen=True)
class QuerySpec(DataSpec):
    """Pseudo-queries of the whole corpus with a teacher's ranking of its passages."""

    learns_from_start: ClassVar[bool] = True

    pairs_per_batch: PositiveInt = 64
    """Pseudo-queries of a training step, those of all processes together."""
    query_max_length: PositiveInt = 64
    """Tokens of a pseudo-query, at most; what is longer is cut."""
    teacher: TeacherSpec = field(default_factory=TeacherSpec)
    """How the rankings are computed, before training (`adaptation/distillation.py`)."""

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
