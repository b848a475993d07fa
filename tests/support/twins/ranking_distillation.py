"""Learning to rank as a teacher does, one document at a time."""

from __future__ import annotations

from torch import Tensor

from reknit.data.batch import Batch
from reknit.objectives.ranking_distillation import RankingDistillation
from twins.base import Losses, VectorTwin
from twins.losses.ranking_divergence import naive_ranking_divergence


class DistillationTwin(VectorTwin):
    width = 32  # that of the toy's documents

    def score(self, objective: RankingDistillation, vectors: Tensor, batch: Batch) -> Losses:
        assert batch.teacher_targets is not None
        return {"ranking": naive_ranking_divergence(vectors, batch.teacher_targets, objective.spec.temperature)}


TWIN = DistillationTwin()
