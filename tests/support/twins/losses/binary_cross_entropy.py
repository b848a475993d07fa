"""Decisions, one at a time."""

from __future__ import annotations

from torch import Tensor


def naive_binary_cross_entropy(logits: Tensor, labels: list[bool]) -> Tensor:
    total = logits.new_zeros(())
    for logit, label in zip(logits, labels, strict=True):
        right = 1 / (1 + (-logit).exp()) if label else 1 / (1 + logit.exp())
        total = total - right.log()
    return total / max(len(labels), 1)
