"""How far predicted distributions over a vocabulary are from wanted ones."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from reknit.collectives import whole_mean


def distribution_divergence(
    states: Tensor, table: Tensor, bias: Tensor | None, targets: Tensor
) -> tuple[Tensor, Tensor]:
    """Mean over the rows of KL(targets || softmax(states @ table.T + bias)), of all processes in a shared step.

    states: [N, D]. table: [V, D]. bias: [V] or None. targets: [N, V] float32; a row sums to 1, or to 0 where nothing is
    wanted: such rows add nothing and are not counted. Returns the scalar float32 loss and the number of rows whose
    largest prediction is wanted at all (int64 scalar, no gradient).
    """
    logits = (states @ table.t()).float()
    if bias is not None:
        logits = logits + bias
    logs = functional.log_softmax(logits, dim=1)
    asked = targets.sum(dim=1) > 0
    count = int(asked.sum())
    divergence = (torch.xlogy(targets, targets) - targets * logs).sum(dim=1)
    hits = (targets.gather(1, logs.detach().argmax(dim=1, keepdim=True)).squeeze(1) > 0).sum()
    return whole_mean(divergence.sum() / max(count, 1), count), hits
