"""Masking of single tokens of tagged spans: the kind of the predicted words is chosen, and most of each word stays
visible."""

from __future__ import annotations

import torch
from torch import Tensor

from reknit.corruptions.masking import (
    check_shares,
    chosen,
    masked_view,
    ordinary_tokens,
    tokens_per_text,
    wanted_tokens,
)
from reknit.data.batch import Batch, View, segments_of
from reknit.data.shard import for_whole_batch
from reknit.errors import ReknitError


@for_whole_batch
def mask_span_tokens(
    batch: Batch,
    rng: torch.Generator,
    *,
    ratio: float = 0.15,
    random_share: float = 0.1,
    keep_share: float = 0.1,
) -> View:
    """Mask one token of each of some tagged spans and predict it; the rest of the span stays as it is (LEM, Fernando
    and Ranathunga 2025).

    In each sequence, spans are sampled without replacement until `max(1, round(ratio * ordinary tokens))` tokens are
    predicted, or no span is left. In a sequence without spans, one ordinary token is predicted. What becomes of a
    predicted token is as in `mask_tokens`.

    batch: T packed tokens with `tagged`. rng: a CPU generator; all randomness is one draw of [T, 4] numbers. Returns a
    View on the batch's device whose `masked` are the predicted tokens that were masked or replaced. Raises ReknitError
    for a batch without tags, shares out of range, and a vocabulary without a mask token.
    """
    check_shares(batch.vocabulary, ratio, random_share, keep_share)
    draws = torch.rand(batch.num_tokens, 4, generator=rng).to(batch.tokens.device)
    ordinary = ordinary_tokens(batch)
    wanted = wanted_tokens(batch, ordinary, ratio)
    candidates = _one_of_each(tags_of(batch).masked_fill(~ordinary, -1), draws[:, 3])
    without = tokens_per_text(batch, candidates) == 0
    candidates = candidates | ordinary & without[segments_of(batch.cu_seqlens)]
    units = torch.arange(batch.num_tokens, device=batch.tokens.device)
    predict = chosen(batch, candidates, draws[:, 0], wanted.masked_fill(without, 1), units)
    return masked_view(batch, predict, draws[:, 1:3], random_share, keep_share)


def tags_of(batch: Batch) -> Tensor:
    """[T] int64, `batch.tagged`. Raises ReknitError where there are none."""
    if batch.tagged is None:
        raise ReknitError("this objective needs to know what kind of word a token belongs to: set data.tagger")
    return batch.tagged


def _one_of_each(spans: Tensor, draws: Tensor) -> Tensor:
    """[T] numbers of spans, -1 outside -> [T] bool, in each span the token with the smallest draw."""
    places = (spans >= 0).nonzero().squeeze(1)
    # float64, because float32 could not tell draws apart beside a large number; draws are below 1.
    order = places[(spans[places].double() * 2 + draws[places].double()).argsort()]
    first = torch.ones_like(order, dtype=torch.bool)
    first[1:] = spans[order[1:]] != spans[order[:-1]]
    found = torch.zeros_like(spans, dtype=torch.bool)
    found[order[first]] = True
    return found
