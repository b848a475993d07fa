"""Contrastive learning on pairs, by loops."""

from __future__ import annotations

from torch import Tensor

from reknit.data.batch import Batch
from reknit.objectives.contrastive import Contrastive
from twins.base import Losses, VectorTwin, groups_of
from twins.losses.info_nce import naive_info_nce


class ContrastiveTwin(VectorTwin):
    def score(self, objective: Contrastive, vectors: Tensor, batch: Batch) -> Losses:
        spec = objective.spec
        loss = naive_info_nce(
            vectors[0::2],
            vectors[1::2],
            groups_of(batch),
            spec.temperature,
            spec.symmetric,
            spec.same_side,
            spec.focal,
            spec.mixed_negatives,
        )
        return {"contrastive": loss}


TWIN = ContrastiveTwin()
