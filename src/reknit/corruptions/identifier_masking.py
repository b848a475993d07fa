"""Masking of whole identifiers: every occurrence in a text of those that are drawn."""

from __future__ import annotations

from itertools import groupby

import torch
from torch import Tensor

from reknit.corruptions.masking import ordinary_tokens
from reknit.corruptions.span_token_masking import tags_of
from reknit.data.batch import Batch, View, segments_of
from reknit.data.shard import for_whole_batch
from reknit.errors import ReknitError


@for_whole_batch
def mask_identifiers(batch: Batch, rng: torch.Generator, *, share: float = 0.5) -> tuple[View, Tensor]:
    """Mask all tokens of every occurrence of some identifiers (CodeT5's masked identifier prediction, Wang et al. 2021,
    section 3.2), a mask token each; and [T] bool, the masked tokens of identifiers that occur once.

    Nothing in the view tells what these are; of an identifier that occurs several times, the masked places tell where
    it occurs.

    Tagged spans of one text with the same tokens are occurrences of one identifier. Each identifier is drawn with
    probability `share`, and one of every text that has any. The draw is that of its first occurrence, so that it
    depends neither on the other identifiers of the text nor on other texts.

    batch: T packed tokens with `tagged`. rng: a CPU generator; all randomness is one draw of [T] numbers. Returns a
    View that predicts the masked tokens. Raises ReknitError for a share out of range, a batch without tags, and a
    vocabulary without a mask token.
    """
    if not 0.0 < share <= 1.0:
        raise ReknitError(f"the share of identifiers to mask is {share}; it must be above 0 and at most 1")
    if batch.vocabulary.mask < 0:
        raise ReknitError("this tokenizer has no mask token; choose one that has it")
    device, spans = batch.tokens.device, tags_of(batch)
    draws = torch.rand(batch.num_tokens, generator=rng).to(device)
    first = first_occurrences(batch)
    inside = first >= 0
    draw = draws[first.clamp(min=0)].masked_fill(~inside, 2.0)
    segments = segments_of(batch.cu_seqlens)
    smallest = torch.full((batch.num_sequences,), 2.0, device=device).scatter_reduce_(0, segments, draw, "amin")
    hidden = inside & ((draw < share) | (draw == smallest[segments]))
    tokens = batch.tokens.masked_fill(hidden, batch.vocabulary.mask)
    again = torch.zeros_like(hidden)  # where an identifier begins that comes again
    again[first[inside & (spans != spans[first.clamp(min=0)])]] = True
    view = View(tokens, batch.cu_seqlens, batch.tokens, predict=hidden, masked=hidden, signal=batch.signal)
    return view, hidden & ~again[first.clamp(min=0)]


def first_occurrences(batch: Batch) -> Tensor:
    """[T] int64, flat position at which the identifier of each token begins for the first time in its text.

    -1 outside of tagged spans, and in those that hold a special token (an unknown one), of which it is not known what
    they are.
    """
    tokens, ordinary = batch.tokens.tolist(), ordinary_tokens(batch).tolist()
    owners = list(zip(segments_of(batch.cu_seqlens).tolist(), tags_of(batch).tolist(), strict=True))
    found: dict[tuple[int, ...], int] = {}
    first = torch.full((batch.num_tokens,), -1)
    place = 0
    for (text, span), run in groupby(owners):
        start, place = place, place + len(list(run))
        if span >= 0 and all(ordinary[start:place]):
            first[start:place] = found.setdefault((text, *tokens[start:place]), start)
    return first.to(batch.tokens.device)
