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
    focal: float = 0.0,
    mixed: int = 0,
) -> tuple[Tensor, Tensor]:
    """Mean of -log softmax over cosine similarities / temperature, with the other examples as negatives.

    van den Oord et al. 2018; with `symmetric` the passages also look for their queries, and the two directions are
    averaged (CLIP); with `same_side` a query's negatives are also the other queries (SimCLR's NT-Xent when `symmetric`
    too, which is Mirror-BERT's loss).

    focal: an example counts as (1 - p) to this power, p being the softmax's share of its partner (as a constant), so
    that examples already learnt count less (after Lin et al. 2017, as KaLM-Embedding-V2 does). mixed: so many of a
    query's hardest negatives are mixed, each weighted by its softmax among them, into one more negative (KaLM's
    listwise mixing).

    queries, passages: [B, D], row i of one belongs to row i of the other; they need not be normalised.
    groups: [B] int64 or None; examples of the same group are not each other's negatives.
    Returns the scalar float32 loss and the share of queries whose own passage is the nearest passage (no gradient).
    """
    queries = functional.normalize(queries.float(), dim=-1)
    passages = functional.normalize(passages.float(), dim=-1)
    count = queries.shape[0]
    if groups is None:
        groups = torch.arange(count, device=queries.device)
    related, excluded = _related(groups)

    across = (queries @ passages.t()) / temperature
    forward_scores = across.masked_fill(excluded, -torch.inf)
    sides = [(forward_scores, queries, passages)]
    if symmetric:
        sides.append((across.t().masked_fill(excluded, -torch.inf), passages, queries))
    losses = []
    for scores, own, other in sides:
        if same_side:
            same = (own @ own.t() / temperature).masked_fill(related, -torch.inf)
            scores = torch.cat([scores, same], dim=1)
        if mixed:
            scores = torch.cat([scores, _mixed_scores(scores[:, :count], own, other, mixed, temperature)], dim=1)
        losses.append(_matching(scores, focal))
    loss = torch.stack(losses).mean()
    found = forward_scores.detach().argmax(dim=1) == torch.arange(count, device=queries.device)
    return loss, found.float().mean()


def score_divergence(
    student: tuple[Tensor, Tensor], teacher: tuple[Tensor, Tensor], groups: Tensor | None = None, *, temperature: float
) -> Tensor:
    """Mean over the queries of KL(teacher || student), softmaxes of cosines / temperature over the batch's passages.

    Starbucks' alignment of a smaller size with the full one (Zhuang et al. 2024). student, teacher: ([B, D] queries,
    [B, D] passages), not normalised, of any two widths. groups: as in `info_nce`.
    """
    logs = []
    for queries, passages in (student, teacher):
        queries, passages = (functional.normalize(side.float(), dim=-1) for side in (queries, passages))
        scores = queries @ passages.t() / temperature
        if groups is not None:
            _, excluded = _related(groups)
            # Far below every score and finite: both sides leave the same ones out, and 0 times infinity is no number.
            scores = scores.masked_fill(excluded, -1e9)
        logs.append(functional.log_softmax(scores, dim=-1))
    return (logs[1].exp() * (logs[1] - logs[0])).sum(dim=-1).mean()


def _related(groups: Tensor) -> tuple[Tensor, Tensor]:
    """[B, B] bool each: who is of one group, and who is so without being the same example."""
    related = groups[:, None] == groups[None, :]
    return related, related & ~torch.eye(len(groups), dtype=torch.bool, device=groups.device)


def _matching(scores: Tensor, focal: float) -> Tensor:
    """Cross-entropy of each row's partner, which is on the diagonal of `scores`, [B, B or more]."""
    losses = functional.cross_entropy(scores, torch.arange(scores.shape[0], device=scores.device), reduction="none")
    if focal:
        losses = losses * (1.0 - torch.exp(-losses.detach())).clamp(min=0.0) ** focal
    return losses.mean()


def _mixed_scores(scores: Tensor, own: Tensor, other: Tensor, mixed: int, temperature: float) -> Tensor:
    """[B, 1] scores of each row with a mixture of its hardest negatives; -inf where it has none."""
    itself = torch.eye(len(scores), dtype=torch.bool, device=scores.device)
    hardest = scores.detach().masked_fill(itself, -torch.inf).topk(min(mixed, len(scores)), dim=1)
    there = hardest.values.isfinite()
    shares = hardest.values.masked_fill(~there, -1e9).softmax(dim=1) * there
    mixture = functional.normalize((shares[:, :, None] * other[hardest.indices]).sum(dim=1), dim=-1)
    found = (own * mixture).sum(dim=1, keepdim=True) / temperature
    return found.masked_fill(~there.any(dim=1, keepdim=True), -torch.inf)
