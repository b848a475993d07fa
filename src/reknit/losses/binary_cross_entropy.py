"""Binary cross-entropy of yes-or-no questions about tokens."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from reknit.collectives import whole_mean


def binary_cross_entropy(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Mean of -log p(label), p = sigmoid(logit) for True (of all processes in a shared step).

    logits: [P]. labels: [P] bool. Returns the scalar float32 loss (0 when P = 0) and the number of logits on the side
    of their label (int64 scalar, no gradient; 0 counts as False).
    """
    summed = functional.binary_cross_entropy_with_logits(logits.float(), labels.float(), reduction="sum")
    hits = ((logits.detach() > 0) == labels).sum()
    return whole_mean(summed / max(labels.numel(), 1), labels.numel()), hits
