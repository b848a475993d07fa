"""AdamW as every BERT-like system uses it, and the learning-rate schedule over the spent budget."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import nn

from reknit.recipe import OptimiserSpec


def build_optimiser(modules: Iterable[nn.Module], spec: OptimiserSpec) -> torch.optim.AdamW:
    """AdamW over the distinct parameters of `modules`; vectors (norms, biases) are not decayed."""
    parameters = list(dict.fromkeys(p for module in modules for p in module.parameters() if p.requires_grad))
    groups = [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": spec.weight_decay},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]
    betas = (spec.adam_beta1, spec.adam_beta2)
    return torch.optim.AdamW(
        [group for group in groups if group["params"]],
        lr=spec.learning_rate,
        betas=betas,
        eps=spec.adam_epsilon,
        fused=True,
    )


def learning_rate(spec: OptimiserSpec, progress: float) -> float:
    """The rate at `progress` (0 to 1) of the budget: linear warm-up, then the named decay to zero."""
    if progress < spec.warmup_ratio:
        # The first step must move too: progress is exactly 0 there.
        return spec.learning_rate * max(progress / spec.warmup_ratio, 0.01)
    if spec.lr_scheduler_type == "constant":
        return spec.learning_rate
    rest = (1.0 - progress) / max(1e-9, 1.0 - spec.warmup_ratio)
    if spec.lr_scheduler_type == "cosine":
        return spec.learning_rate * 0.5 * (1.0 - math.cos(math.pi * rest))
    return spec.learning_rate * rest
