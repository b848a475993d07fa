"""Dropout that does not dominate a training step on the CPU."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

_LEVELS = 256


def dropped_levels(probability: float) -> int:
    """How many of the 256 values of a random byte mean that an element is dropped: 0 for 0, else 1 to 255."""
    return min(max(round(probability * _LEVELS), 1), _LEVELS - 1) if probability > 0.0 else 0


def survivors_scale(levels: int) -> float:
    """What survivors are multiplied by, so that the expectation stays."""
    return _LEVELS / (_LEVELS - levels)


def random_bytes(shape: Sequence[int]) -> Tensor:
    """uint8 on the CPU. torch's global generator seeds the one that draws them, which takes half of torch's time."""
    count = math.prod(shape)
    seed = int(torch.randint(2**63 - 1, ()))
    words = np.random.SFC64(seed).random_raw((count + 7) // 8)
    return torch.from_numpy(words.view(np.uint8))[:count].view(shape)


def kept(drawn: Tensor, levels: int, dtype: torch.dtype) -> Tensor:
    """1.0 where an element survives, else 0.0; a product of two formats would cost several times more."""
    return torch.ge(drawn, levels, out=torch.empty_like(drawn, dtype=dtype))


class _ByteDropout(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, probability: float) -> Tensor:
        drawn, ctx.levels = random_bytes(values.shape), dropped_levels(probability)
        ctx.save_for_backward(drawn)
        return _survivors(values, drawn, ctx.levels)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (drawn,) = ctx.saved_tensors
        return _survivors(gradient, drawn, ctx.levels), None


_byte_dropout: Callable[[Tensor, float], Tensor] = _ByteDropout.apply


def _survivors(values: Tensor, drawn: Tensor, levels: int) -> Tensor:
    return kept(drawn, levels, values.dtype).mul_(values).mul_(survivors_scale(levels))


def dropout(values: Tensor, probability: float, training: bool = True) -> Tensor:
    """Inverted dropout (Srivastava et al. 2014): zero each element with `probability`, scale the others up.

    On the CPU one random byte decides per element: torch's own kernel draws serially and takes four times as long,
    longer than the matrix products around it. `probability` is therefore rounded to a multiple of 1/256 there (never to
    0 or 1), and the scale follows the rounded value, so the expectation is exact. Elsewhere this is
    `torch.nn.functional.dropout`.

    values: any shape, floating point. Returns the same shape; `values` itself when nothing is to be dropped.
    """
    if not training or probability <= 0.0:
        return values
    if values.device.type != "cpu" or probability >= 1.0:
        return F.dropout(values, probability, True)
    return _byte_dropout(values, probability)


class Dropout(nn.Module):
    """Module form of `dropout`; `probability` may be changed between steps."""

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.probability = probability

    def forward(self, values: Tensor) -> Tensor:
        """Same shape out as in; the identity in evaluation mode."""
        return dropout(values, self.probability, self.training)

    def extra_repr(self) -> str:
        return f"probability={self.probability}"
