"""Dropout that does not dominate a training step on the CPU."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_LEVELS = 256


class _ByteDropout(torch.autograd.Function):
    @staticmethod
    def forward(ctx, values: Tensor, keep: Tensor, scale: float) -> Tensor:
        ctx.save_for_backward(keep)
        ctx.scale = scale
        return values.mul(keep).mul_(scale)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None, None]:
        (keep,) = ctx.saved_tensors
        return gradient.mul(keep).mul_(ctx.scale), None, None


def dropout(values: Tensor, probability: float, training: bool = True) -> Tensor:
    """Inverted dropout (Srivastava et al. 2014): zero each element with `probability`, scale the others up.

    On the CPU one random byte decides per element, drawn eight at a time from torch's global generator: torch's own
    kernel draws serially and takes four times as long, longer than the matrix products around it. `probability` is
    therefore rounded to a multiple of 1/256 there (never to 0 or 1), and the scale follows the rounded value, so the
    expectation is exact. Elsewhere this is `torch.nn.functional.dropout`.

    values: any shape, floating point. Returns the same shape; `values` itself when nothing is to be dropped.
    """
    if not training or probability <= 0.0:
        return values
    if values.device.type != "cpu" or probability >= 1.0:
        return F.dropout(values, probability, True)
    dropped_levels = min(max(round(probability * _LEVELS), 1), _LEVELS - 1)
    words = torch.empty((values.numel() + 7) // 8, dtype=torch.int64).random_(-(2**63), None)
    keep = words.view(torch.uint8)[: values.numel()].view(values.shape) >= dropped_levels
    return _ByteDropout.apply(values, keep, _LEVELS / (_LEVELS - dropped_levels))


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
