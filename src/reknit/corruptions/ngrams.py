"""Explicit n-gram masking's corruption: a bigram that is drawn disappears behind one mask token."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from reknit.corruptions.masking import check_shares, chosen, ordinary_tokens, wanted_tokens
from reknit.data.batch import Batch, View
from reknit.data.shard import for_whole_batch

# What became of a token: seen, behind a mask token of its own, or the first or second behind the mask of a bigram.
SEEN, ALONE, FIRST, SECOND = range(4)


@for_whole_batch
def mask_bigrams(
    batch: Batch, rng: torch.Generator, bigrams: Tensor, *, ratio: float = 0.15, joined: bool = True
) -> tuple[View, Tensor]:
    """Mask a fraction of each text's ordinary tokens, bigrams as a whole (ERNIE-Gram, Xiao et al. 2021).

    The texts are cut into units: the bigrams, of which none overlaps another (`separate`), and single tokens. In each
    sequence units are taken in random order until `max(1, round(ratio * ordinary tokens))` tokens are masked. A unit
    that does not fit is taken if at least half of it does, and the first one always (as whole words in `mask_tokens`).

    batch: T packed tokens. rng: a CPU generator; all randomness is one draw of [T] numbers. bigrams: [T] bool, of the
    tokens of `batch.whole`: here and one token later stand the two of a known bigram, both ordinary and of one text.
    joined: a bigram becomes one mask token; else each of its tokens becomes one, as in contiguous masking.

    Returns the view, whose sequences are as many as the batch's and shorter by one token for each joined bigram, and
    [T] int64: what became of each of the batch's own tokens, one of SEEN, ALONE, FIRST and SECOND. The view has, in
    order, one token for each that is not SECOND (`view_places`).
    Raises ReknitError for a ratio out of range and a vocabulary without a mask token.
    """
    check_shares(batch.vocabulary, ratio, 0.0, 0.0)
    draws = torch.rand(batch.num_tokens, generator=rng).to(batch.tokens.device)
    first = separate(bigrams)
    second = functional.pad(first, (1, 0))[:-1]
    units = (~second).cumsum(0) - 1
    ordinary = ordinary_tokens(batch)
    taken = chosen(batch, ordinary, draws, wanted_tokens(batch, ordinary, ratio), units)
    became = taken.long() * ALONE
    if joined:
        became[taken & first] = FIRST
        became[taken & second] = SECOND
    left = became != SECOND
    hidden = taken[left]
    view = View(
        tokens=batch.tokens[left].masked_fill(hidden, batch.vocabulary.mask),
        cu_seqlens=functional.pad(left.cumsum(0), (1, 0))[batch.cu_seqlens],
        targets=batch.tokens[left],
        predict=hidden,
        masked=hidden,
    )
    return view, became


def view_places(became: Tensor) -> Tensor:
    """[T] int64, what became of each token -> [T] int64, the flat position in the view that stands for it."""
    return (became != SECOND).cumsum(0) - 1


def separate(bigrams: Tensor) -> Tensor:
    """[T] bool, where bigrams begin -> [T] bool, those that are left when each is taken, from left to right, that does
    not overlap the one taken before.

    Of every run of beginnings these are the first, the third, and so on: a run's last bigram ends at the token behind
    the run, where none begins.
    """
    places = torch.arange(bigrams.numel(), device=bigrams.device)
    opens = bigrams & ~functional.pad(bigrams, (1, 0))[:-1]
    begins = torch.where(opens, places, 0).cummax(0).values if places.numel() else places
    return bigrams & ((places - begins) % 2 == 0)
