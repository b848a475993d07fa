"""AR2's game, one list and one joined pair at a time."""

from __future__ import annotations

from contextlib import AbstractContextManager
from unittest import mock

import torch
from torch import Tensor
from toy_models import amplify

from reknit.data.batch import Batch, View
from reknit.encoders.base import Encoder
from reknit.encoders.pooling import pool
from reknit.objectives.adversarial_ranking import AdversarialRanking
from twins.base import Losses, VectorTwin, groups_of
from twins.contrastive import TWIN as CONTRASTIVE
from twins.losses.adversarial_ranking import (
    naive_adversarial_ranking,
    naive_distilled_ranking,
    naive_list_cross_entropy,
)


class GameTwin(VectorTwin):
    # Each makes the other's part harder, and a ranker must know something before it can teach.
    steps_to_fall = 150

    def compare(self, objective: AdversarialRanking, encoder: Encoder, batch: Batch) -> tuple[Losses, Losses]:
        # A fresh ranker gives all pairs almost the same score, whatever it reads.
        amplify(objective.ranker), amplify(objective.ranker.score, factor=20.0)
        return super().compare(objective, encoder, batch)

    def knowing(self, objective: AdversarialRanking) -> AbstractContextManager[object]:
        return mock.patch.object(objective.ranker, "forward", _knowing_ranker)

    def score(self, objective: AdversarialRanking, vectors: Tensor, batch: Batch) -> Losses:
        spec, groups = objective.spec, groups_of(batch)
        retrieved, ranked = [], []
        for i, group in enumerate(groups):
            found = [
                vectors[2 * i] @ vectors[2 * j + 1] / (vectors[2 * i].norm() * vectors[2 * j + 1].norm())
                for j in range(len(groups))
            ]
            others = sorted((j for j, other in enumerate(groups) if other != group), key=lambda j: -float(found[j]))
            listed = [i, *others[: spec.negatives]]
            retrieved.append(torch.stack([found[j] for j in listed]) / spec.contrastive.temperature)
            ranked.append(torch.stack([_rank(objective, batch, 2 * i, 2 * j + 1) for j in listed]))
        contrastive = CONTRASTIVE.score(objective.contrastive, vectors, batch)["contrastive"]
        losses = {"ranker": naive_list_cross_entropy(ranked), "contrastive": contrastive}
        if float(objective.progress) < spec.warm_up:
            return losses
        return {
            "ranker": losses["ranker"],
            "contrastive": spec.contrastive_weight * contrastive,
            "adversarial": spec.adversarial_weight * naive_adversarial_ranking(retrieved, ranked),
            "distilled": (1 - spec.adversarial_weight) * naive_distilled_ranking(retrieved, ranked),
        }


def _rank(objective: AdversarialRanking, batch: Batch, query: int, passage: int) -> Tensor:
    """The ranker's score of two sequences of the batch, read as one text."""
    ranker, ends = objective.ranker, batch.cu_seqlens.tolist()
    first, second = (batch.tokens[ends[number] : ends[number + 1]] for number in (query, passage))
    tokens = torch.cat((first, second[1:]))  # without [CLS]
    together = Batch.pack([(tokens,) * 3], batch.vocabulary)
    vector = pool(ranker.encoder(View.clean(together)), ranker.pooling)[0]
    return vector @ ranker.score.weight[0] + ranker.score.bias[0]


def _knowing_ranker(batch: Batch, queries: Tensor, passages: Tensor) -> Tensor:
    """In place of a ranker's scores: high for each query's own passage, low for all others."""
    return 40.0 * (passages == queries + 1)


TWIN = GameTwin()
