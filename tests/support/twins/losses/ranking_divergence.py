"""The divergence from a teacher's ranking, one document at a time."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from reknit.data.batch import TeacherTargets


def naive_ranking_divergence(queries: Tensor, lesson: TeacherTargets, temperature: float) -> Tensor:
    losses = []
    for query, target, hidden in zip(queries, lesson.targets, lesson.left_out.tolist(), strict=True):
        seen = [place for place in range(len(lesson.documents)) if not hidden[place]]
        scores = [query @ lesson.documents[place] / query.norm() / temperature for place in seen]
        total = torch.stack(scores).exp().sum()
        loss = queries.new_zeros(())
        for place, score in zip(seen, scores, strict=True):
            wanted = float(target[place])
            if wanted > 0:
                loss = loss + wanted * (math.log(wanted) - (score.exp() / total).log())
        losses.append(loss)
    return torch.stack(losses).mean()
