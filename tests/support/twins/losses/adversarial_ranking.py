"""The losses of a retriever and a ranker, one list at a time."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def naive_adversarial_ranking(retriever: list[Tensor], ranker: list[Tensor]) -> Tensor:
    """Of lists of any lengths, each the scores of a query's own passage and of the others."""
    losses = []
    for found, scores in zip(retriever, ranker, strict=True):
        own, total, loss = float(scores[0]), found.exp().sum(), found.new_zeros(())
        for one, score in zip(found, scores.tolist(), strict=True):
            share = math.exp(own) / (math.exp(own) + math.exp(score))
            loss = loss + math.log(share) * (one.exp() / total).log()
        losses.append(loss)
    return torch.stack(losses).mean()


def naive_distilled_ranking(retriever: list[Tensor], ranker: list[Tensor]) -> Tensor:
    losses = []
    for found, scores in zip(retriever, ranker, strict=True):
        total, wanted = found.exp().sum(), [float(score.exp() / scores.exp().sum()) for score in scores]
        losses.append(-sum(share * (one.exp() / total).log() for share, one in zip(wanted, found, strict=True)))
    return torch.stack(losses).mean()


def naive_list_cross_entropy(ranker: list[Tensor]) -> Tensor:
    return torch.stack([-(scores[0].exp() / scores.exp().sum()).log() for scores in ranker]).mean()
