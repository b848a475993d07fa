"""Mean absolute error of predicted numbers."""

from __future__ import annotations

from torch import Tensor

from reknit.collectives import whole_mean


def absolute_error(predicted: Tensor, wanted: Tensor) -> Tensor:
    """Mean of |predicted - wanted| over all numbers (of all processes in a shared step); 0 where there are none.

    predicted, wanted: [P, F]. Returns the scalar float32 loss.
    """
    summed = (predicted.float() - wanted.float()).abs().sum()
    return whole_mean(summed / max(wanted.numel(), 1), wanted.numel())
