"""Divergences of distributions over the vocabulary, one text at a time."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def naive_distribution_divergence(states: Tensor, table: Tensor, bias: Tensor, targets: Tensor) -> Tensor:
    losses = []
    for state, wanted in zip(states, targets.tolist(), strict=True):
        if sum(wanted) == 0:
            continue
        logits = torch.stack([state @ row for row in table]) + bias
        total = logits.exp().sum().log()
        losses.append(sum(share * (math.log(share) - (logits[v] - total)) for v, share in enumerate(wanted) if share))
    return torch.stack(losses).mean() if losses else states.new_zeros(())
