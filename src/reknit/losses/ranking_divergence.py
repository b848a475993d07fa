"""How far a student's ranking of documents is from its teacher's."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def ranking_divergence(
    queries: Tensor, documents: Tensor, targets: Tensor, left_out: Tensor, *, temperature: float
) -> tuple[Tensor, Tensor]:
    """Mean of KL(targets || softmax of cosine / temperature) over the queries (ListNet's loss, Cao et al. 2007, less
    the targets' entropy, so that 0 is agreement).

    queries: [N, dim], need not be normalised. documents: [D, dim] of length 1. targets: [N, D], rows that sum to 1.
    left_out: [N, D] bool, documents that a query's softmax does not contain; at least one document stays.
    Returns the scalar float32 loss and the share of queries whose nearest document is the teacher's first (without
    gradient).
    """
    scores = functional.normalize(queries.float(), dim=-1) @ documents.t() / temperature
    logs = functional.log_softmax(scores.masked_fill(left_out, -torch.inf), dim=-1)
    entropy = torch.xlogy(targets, targets).sum(dim=-1)
    # Infinitely improbable and not asked for: no part of the sum, and no part of the gradient.
    loss = (entropy - (targets * logs.masked_fill(left_out, 0.0)).sum(dim=-1)).mean()
    agree = logs.detach().argmax(dim=-1) == targets.argmax(dim=-1)
    return loss, agree.float().mean()
