"""InfoNCE over the pairs of a batch."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def info_nce(
    queries: Tensor,
    passages: Tensor,
    groups: Tensor | None = None,
    *,
    temperature: float,
    symmetric: bool = False,
    same_side: bool = False,
) -> tuple[Tensor, Tensor]:
    """Mean of -log softmax over cosine similarities / temperature, with the other examples as negatives.

    van den Oord et al. 2018; with `symmetric` the passages also look for their queries, and the two directions are
    averaged (CLIP); with `same_side` a query's negatives are also the other queries (SimCLR's NT-Xent when `symmetric`
    too, which is Mirror-BERT's loss).

    queries, passages: [B, D], row i of one belongs to row i of the other; they need not be normalised.
    groups: [B] int64 or None; examples of the same group are not each other's negatives.
    Returns the scalar float32 loss and the share of queries whose own passage is the nearest passage (no gradient).
    """
    queries = functional.normalize(queries.float(), dim=-1)
    passages = functional.normalize(passages.float(), dim=-1)
    count = queries.shape[0]
    if groups is None:
        groups = torch.arange(count, device=queries.device)
    related = groups[:, None] == groups[None, :]
    excluded = related & ~torch.eye(count, dtype=torch.bool, device=queries.device)

    across = (queries @ passages.t()) / temperature
    forward_scores = across.masked_fill(excluded, -torch.inf)
    loss = _matching(forward_scores, queries, related, temperature, same_side)
    if symmetric:
        backward_scores = across.t().masked_fill(excluded, -torch.inf)
        loss = (loss + _matching(backward_scores, passages, related, temperature, same_side)) / 2
    found = forward_scores.detach().argmax(dim=1) == torch.arange(count, device=queries.device)
    return loss, found.float().mean()


def _matching(scores: Tensor, own_side: Tensor, related: Tensor, temperature: float, same_side: bool) -> Tensor:
    """Cross-entropy of each row's partner, which is on the diagonal of `scores`, [B, B]."""
    if same_side:
        same = (own_side @ own_side.t() / temperature).masked_fill(related, -torch.inf)
        scores = torch.cat([scores, same], dim=1)
    return functional.cross_entropy(scores, torch.arange(scores.shape[0], device=scores.device))
