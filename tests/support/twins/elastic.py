"""Contrastive learning at several sizes, one size at a time."""

from __future__ import annotations

import torch
from torch import Tensor

from reknit.data.batch import Batch
from reknit.objectives.elastic import ElasticContrastive
from twins.base import Losses, VectorTwin, groups_of
from twins.losses.info_nce import naive_info_nce, naive_score_divergence


class ElasticTwin(VectorTwin):
    def shaped(self, vectors: Tensor) -> Tensor:
        """Three sizes: a quarter of the numbers, half of them, and all."""
        numbers = torch.arange(vectors.shape[1])
        return torch.stack([vectors * (numbers < len(numbers) // part) for part in (4, 2, 1)], dim=1)

    def score(self, objective: ElasticContrastive, vectors: Tensor, batch: Batch) -> Losses:
        groups, spec = groups_of(batch), objective.spec
        sizes = [vectors[:, size] for size in range(vectors.shape[1])]
        losses = [naive_info_nce(one[0::2], one[1::2], groups, spec.temperature, spec.symmetric) for one in sizes]
        aligned = sizes[:-1] if spec.trained == "every" else sizes[: len(sizes) // 2]
        divergences = [naive_score_divergence(one, sizes[-1], groups, spec.temperature) for one in aligned]
        return {
            "contrastive": torch.stack(losses).mean(),
            "alignment": spec.alignment * torch.stack(divergences).mean(),
        }


TWIN = ElasticTwin()
