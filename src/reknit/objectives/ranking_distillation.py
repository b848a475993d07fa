"""Learning to rank documents as a teacher does."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from reknit.data.batch import Batch, View, Vocabulary
from reknit.encoders.base import Encoder
from reknit.encoders.pooling import pool
from reknit.errors import ReknitError
from reknit.losses.ranking_divergence import ranking_divergence
from reknit.objectives.base import EmbeddingObjective, ObjectiveSpec, StepOutput


@dataclass(frozen=True)
class RankingDistillationSpec(ObjectiveSpec):
    """temperature: divides the student's cosine similarities."""

    temperature: float = 0.05

    def __post_init__(self) -> None:
        if self.temperature <= 0.0:
            raise ReknitError(f"the temperature is {self.temperature}; it must be above 0")

    def build(self, encoder: Encoder, vocabulary: Vocabulary, pooling: str) -> RankingDistillation:
        return RankingDistillation(self, pooling)


class RankingDistillation(EmbeddingObjective):
    """Loss "ranking": the divergence of the student's ranking from the batch's lesson, for every example.

    The examples are encoded, the lesson's documents are given as vectors: a step costs no more than its queries.
    """

    def __init__(self, spec: RankingDistillationSpec, pooling: str) -> None:
        super().__init__()
        self.spec, self.pooling = spec, pooling

    def embed(self, encoder: Encoder, batch: Batch, rng: torch.Generator) -> Tensor:
        return pool(encoder(View.clean(batch)), self.pooling)

    def score(self, embeddings: Tensor, batch: Batch) -> StepOutput:
        if batch.teacher_targets is None:
            raise ReknitError(
                "distillation needs a teacher's targets with each batch: give its recipe data=QuerySpec()"
            )
        lesson = batch.teacher_targets
        # A model cut to its first coordinates (`dims`) learns in those that its documents were encoded in.
        embeddings = embeddings[:, : lesson.documents.shape[1]]
        loss, agreement = ranking_divergence(
            embeddings, lesson.documents, lesson.targets, lesson.left_out, temperature=self.spec.temperature
        )
        return StepOutput({"ranking": loss}, {"agreement": float(agreement)})
