"""Learning to rank documents as a teacher does."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType

import torch
from torch import Tensor

from reknit.data.batch import Batch, View, Vocabulary
from reknit.encoders.base import Encoder
from reknit.encoders.pooling import pool
from reknit.errors import ReknitError
from reknit.losses.ranking_divergence import ranking_divergence
from reknit.objectives.base import WHOLE_TEXTS, EmbeddingObjective, ObjectiveSpec, StepOutput
from reknit.ranges import PositiveFloat


@dataclass(frozen=True)
class RankingDistillationSpec(ObjectiveSpec):
    """Settings of learning to rank passages as a teacher does (ListNet's loss, Cao et al. 2007)."""

    temperature: PositiveFloat = 0.05
    """Divides the student's cosine similarities before the softmax over passages."""

    def __post_init__(self) -> None:
        if self.temperature <= 0.0:
            raise ReknitError(f"the temperature is {self.temperature}; it must be above 0")

    def build(self, encoder: Encoder, vocabulary: Vocabulary, pooling: str) -> RankingDistillation:
        return RankingDistillation(self, pooling)


class RankingDistillation(EmbeddingObjective[Encoder]):
    """Loss "ranking": the divergence of the student's ranking from the teacher's, for every example.

    The examples are encoded, the teacher's documents are given as vectors: a step costs no more than its queries.
    """

    vector_losses = frozenset({"ranking"})
    visible = MappingProxyType({"ranking": WHOLE_TEXTS})

    def __init__(self, spec: RankingDistillationSpec, pooling: str) -> None:
        super().__init__()
        self.spec, self.pooling = spec, pooling

    def embed(self, encoder: Encoder, batch: Batch, rng: torch.Generator) -> Tensor:
        return pool(encoder(View.clean(batch)), self.pooling)

    def floors(self, encoder: Encoder, batch: Batch, rng: torch.Generator) -> dict[str, float | str]:
        """The divergence of equal probabilities for all documents that are not left out."""
        teacher = batch.teacher_targets
        if teacher is None:
            return {}
        known = torch.xlogy(teacher.targets, teacher.targets).sum(dim=1)
        return {"ranking": float((known + (~teacher.left_out).sum(dim=1).log()).mean())}

    def score(self, embeddings: Tensor, batch: Batch) -> StepOutput:
        if batch.teacher_targets is None:
            raise ReknitError(
                "distillation needs a teacher's targets with each batch: give its recipe data=QuerySpec()"
            )
        teacher = batch.teacher_targets
        # A model cut to its first dimensions (`dims`) learns in those that its documents were encoded in.
        embeddings = embeddings[:, : teacher.documents.shape[1]]
        loss, agreement = ranking_divergence(
            embeddings, teacher.documents, teacher.targets, teacher.left_out, temperature=self.spec.temperature
        )
        return StepOutput({"ranking": loss}, {"agreement": float(agreement)})
