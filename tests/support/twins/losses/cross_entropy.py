"""Cross-entropies of tokens, one token at a time."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def naive_cross_entropy(states: Tensor, table: Tensor, bias: Tensor | None, targets: Tensor) -> Tensor:
    total = states.new_zeros(())
    for state, target in zip(states, targets.tolist(), strict=True):
        logits = torch.stack([state @ row for row in table])
        if bias is not None:
            logits = logits + bias
        total = total - (logits[target] - logits.exp().sum().log())
    return total / max(len(targets), 1)


def naive_reweighted(means: list[Tensor], strategy: str, temperature: float) -> Tensor:
    low, high = min(means).item(), max(means).item()
    places = [2 * (mean.item() - low) / max(high - low, 1e-6) - 1 for mean in means]
    worth = {"linupper": lambda h: min(h + 1, 1), "quadratic": lambda h: 1 - h * h, "extremes": abs}[strategy]
    weights = [math.exp(worth(place) / temperature) for place in places]
    return sum(weight * mean for weight, mean in zip(weights, means, strict=True)) / sum(weights)
