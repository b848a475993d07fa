"""C-RTS's corruption: tokens become others, of clusters that are drawn by how often they have been mistaken."""

from __future__ import annotations

import torch
from torch import Tensor

from reknit.corruptions.masking import check_shares, chosen, ordinary_tokens, wanted_tokens
from reknit.data.batch import Batch, View
from reknit.data.shard import for_whole_batch


@for_whole_batch
def swap_by_clusters(
    batch: Batch, rng: torch.Generator, clusters: Tensor, shares: Tensor, *, ratio: float = 0.15
) -> View:
    """Replace a share of each sequence's ordinary tokens by others (C-RTS, Di Liello et al. 2022).

    As many tokens of each sequence as `mask_tokens` asks for. The cluster of a token's replacement is drawn by the row
    of `shares` of the token's own cluster, from those that have another token than it; in the cluster, all tokens but
    it are equally likely.

    clusters: [V] int64, the cluster of every ordinary id, -1 of special ones. shares: [C, C], rows of probabilities.
    rng: a CPU generator; all randomness is one draw of [T, 3] numbers.
    Returns a View that asks for the replaced tokens. Raises ReknitError for a ratio out of range.
    """
    check_shares(batch.vocabulary, ratio, random_share=1.0, keep_share=0.0)
    draws = torch.rand(batch.num_tokens, 3, generator=rng).to(batch.tokens.device)
    ordinary = ordinary_tokens(batch)
    everyone = torch.arange(batch.num_tokens, device=batch.tokens.device)
    replaced = chosen(batch, ordinary, draws[:, 0], wanted_tokens(batch, ordinary, ratio), everyone)
    tokens = batch.tokens.clone()
    tokens[replaced] = _others(batch.tokens[replaced], draws[replaced, 1:], clusters, shares)
    return View(tokens, batch.cu_seqlens, targets=batch.tokens, predict=replaced, masked=replaced, signal=batch.signal)


def cluster_shares(counts: Tensor, beta: float) -> Tensor:
    """[C, C] counts -> [C, C] float64: of each row softmax(beta * (count - least) / (most - least)).

    All clusters are equally likely in a row whose counts are equal.
    """
    counts = counts.double()
    least, most = counts.aminmax(dim=1, keepdim=True)
    return (beta * (counts - least) / (most - least).clamp(min=1.0)).softmax(dim=1)


def _others(tokens: Tensor, draws: Tensor, clusters: Tensor, shares: Tensor) -> Tensor:
    """[P] ids and [P, 2] draws from 0 to below 1 -> [P] ids, another for each."""
    # Ids by cluster: those of cluster c are members[starts[c] : starts[c] + sizes[c]].
    members = clusters.argsort(stable=True)[int((clusters < 0).sum()) :]
    sizes = torch.bincount(clusters[members], minlength=len(shares))
    starts = sizes.cumsum(0) - sizes
    places = torch.empty_like(clusters)
    places[members] = torch.arange(len(members), device=members.device)

    own, draws = clusters[tokens], draws.double()  # in float64 no product below rounds up to its bound
    left = sizes.expand(len(tokens), -1).clone()
    left[torch.arange(len(tokens), device=tokens.device), own] -= 1
    cumulated = shares[own].masked_fill(left == 0, 0.0).cumsum(dim=1)
    drawn = torch.searchsorted(cumulated, draws[:, :1] * cumulated[:, -1:], right=True)
    found = starts[drawn] + (draws[:, 1:] * left.gather(1, drawn)).long()
    found = found.squeeze(1)
    # In a token's own cluster, those from its place on move up by one.
    found += (drawn.squeeze(1) == own) & (found >= places[tokens])
    return members[found]
