"""The game of a retriever and a ranker (AR2, Zhang et al. 2022): to find what fools the other, and to rank as it does.

All losses are read off lists of passages, one list a query, the query's own passage first.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def adversarial_ranking(retriever: Tensor, ranker: Tensor, present: Tensor) -> Tensor:
    """Mean over the lists of sum_d log(e^{s+} / (e^{s+} + e^{s_d})) * log p(d).

    s are the ranker's scores, s+ that of the list's first passage, p is the softmax of the retriever's scores over the
    list. The sum includes the first passage, whose factor is always log(1/2), as in the authors' code: a negative is
    pulled up by as much as it fools the ranker, and where none does, what is left is a contrastive loss.

    retriever, ranker: [N, L] scores. present: [N, L] bool, False where a list is shorter; its first column is True.
    Returns a scalar in float32. No gradient goes to the ranker.
    """
    ranker = ranker.detach().float()
    fooled = functional.logsigmoid(ranker[:, :1] - ranker)
    return (fooled * _shares(retriever, present)).sum(dim=1).mean()


def distilled_ranking(retriever: Tensor, ranker: Tensor, present: Tensor) -> Tensor:
    """Mean over the lists of the cross-entropy of the retriever's softmax with the ranker's, at temperature 1.

    AR2's regularisation by distillation. Shapes, result and gradient as in `adversarial_ranking`. Its least value is
    the entropy of the ranker's softmax.
    """
    wanted = _masked(ranker.detach(), present).softmax(dim=1)
    return -(wanted * _shares(retriever, present)).sum(dim=1).mean()


def list_cross_entropy(ranker: Tensor, present: Tensor) -> tuple[Tensor, Tensor]:
    """Mean of -log softmax of each list's first passage, by which a ranker learns (Zhang et al. 2022, after DPR's).

    ranker: [N, L] scores. present: as above. Returns the scalar float32 loss and the share of the lists whose first
    passage has the highest score (no gradient).
    """
    scores = _masked(ranker, present)
    first = torch.zeros(len(scores), dtype=torch.long, device=scores.device)
    return functional.cross_entropy(scores, first), (scores.detach().argmax(dim=1) == 0).float().mean()


def _masked(scores: Tensor, present: Tensor) -> Tensor:
    return scores.float().masked_fill(~present, -torch.inf)


def _shares(scores: Tensor, present: Tensor) -> Tensor:
    """[N, L] log softmax over what is present, and 0 elsewhere: no part of a sum, and no part of the gradient."""
    return functional.log_softmax(_masked(scores, present), dim=1).masked_fill(~present, 0.0)
