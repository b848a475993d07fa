"""InfoNCE and its relatives, one score at a time."""

from __future__ import annotations

import torch
from torch import Tensor


def naive_info_nce(
    queries: Tensor,
    passages: Tensor,
    groups: list[int] | None,
    temperature: float,
    symmetric: bool = False,
    same_side: bool = False,
    focal: float = 0.0,
    mixed: int = 0,
) -> Tensor:
    count = len(queries)
    groups = groups or list(range(count))

    def similarity(first: Tensor, second: Tensor) -> Tensor:
        return (first @ second) / (first.norm() * second.norm()) / temperature

    def one_direction(anchors: Tensor, partners: Tensor) -> Tensor:
        losses = []
        for i in range(count):
            scores = [similarity(anchors[i], partners[i])]
            for j in range(count):
                if groups[j] != groups[i]:
                    scores.append(similarity(anchors[i], partners[j]))
                    if same_side:
                        scores.append(similarity(anchors[i], anchors[j]))
            others = [j for j in range(count) if groups[j] != groups[i]]
            if mixed and others:
                hardest = sorted(others, key=lambda j: -float(similarity(anchors[i], partners[j])))[:mixed]
                weights = [similarity(anchors[i], partners[j]).exp() for j in hardest]
                units = [partners[j] / partners[j].norm() for j in hardest]
                mixture = sum(w * unit for w, unit in zip(weights, units, strict=True)) / sum(weights)
                scores.append(similarity(anchors[i], mixture))
            loss = torch.stack(scores).exp().sum().log() - scores[0]
            losses.append(loss * (1 - float((-loss.detach()).exp())) ** focal)
        return torch.stack(losses).mean()

    loss = one_direction(queries, passages)
    return (loss + one_direction(passages, queries)) / 2 if symmetric else loss


def naive_score_divergence(student: Tensor, teacher: Tensor, groups: list[int], temperature: float) -> Tensor:
    """Of pairs of vectors, query and passage in turns."""
    losses = []
    for i in range(len(groups)):
        seen = [j for j in range(len(groups)) if j == i or groups[j] != groups[i]]
        shares = []
        for vectors in (student, teacher):
            query, passages = vectors[2 * i], [vectors[2 * j + 1] for j in seen]
            scores = [query @ one / (query.norm() * one.norm()) / temperature for one in passages]
            total = torch.stack(scores).exp().sum()
            shares.append([score.exp() / total for score in scores])
        losses.append(sum(b * (b.log() - a.log()) for a, b in zip(*shares, strict=True)))
    return torch.stack(losses).mean()
