"""Cross-entropy of finding the right vector among those of a batch."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def matching(states: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Mean of -log softmax(states @ targets.T) at row i's own target i; the other rows' targets are the wrong choices.

    The masked sentence block loss of SMITH (Yang et al. 2020), without its bias per place. The scores are plain
    products: the caller decides their size. Both sides learn.

    states, targets: [M, D]. Returns the scalar float32 loss (0 when M is 0 or 1, as there is no choice then) and the
    number of rows whose own target has the largest score (int64 scalar, no gradient; the first of equal ones counts).
    """
    scores = (states @ targets.t()).float()
    own = torch.arange(len(scores), device=scores.device)
    summed = functional.cross_entropy(scores, own, reduction="sum")
    hits = (scores.detach().argmax(dim=1) == own).sum() if len(own) else own.sum()
    return summed / max(len(own), 1), hits
