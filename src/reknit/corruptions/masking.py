"""Masked language modelling's corruption: which tokens are predicted, and what the encoder sees in their place."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from reknit.data.batch import Batch, View, Vocabulary, segments_of
from reknit.data.shard import for_whole_batch
from reknit.errors import ReknitError


@for_whole_batch
def mask_tokens(
    batch: Batch,
    rng: torch.Generator,
    *,
    ratio: float = 0.15,
    whole_words: bool = False,
    random_share: float = 0.1,
    keep_share: float = 0.1,
    longest_span: int = 1,
) -> View:
    """Mask a fraction of each sequence's ordinary tokens and predict them (BERT, Devlin et al. 2019, section 3.1).

    In each sequence, `max(1, round(ratio * ordinary tokens))` tokens are predicted, sampled without replacement. With
    `whole_words`, words are taken in random order, each if at least half of it fits into that number; the first word is
    always taken. With `longest_span` above 1, the text is cut at random into spans of 1 to `longest_span` tokens, all
    lengths equally likely, which are taken in the same way. So every sequence with an ordinary token has at least one
    prediction. Special tokens (added by the tokenizer, or with an id in `vocabulary.special`) are never predicted.

    Each predicted token becomes a random ordinary token with probability `random_share`, stays as it is with
    probability `keep_share`, and otherwise becomes the mask token (BERT: 0.1, 0.1 and 0.8).

    batch: T packed tokens. rng: a CPU generator; all randomness is one draw of [T, 3] numbers, for spans [T, 4].
    Returns a View on the batch's device whose `masked` are the predicted tokens that were masked or replaced. Raises
    ReknitError for shares out of range, a vocabulary without a mask token, and spans of whole words.
    """
    check_shares(batch.vocabulary, ratio, random_share, keep_share)
    if longest_span < 1 or (longest_span > 1 and whole_words):
        raise ReknitError(f"longest_span is {longest_span}: it must be 1 or more, and 1 with whole_words")
    device = batch.tokens.device
    draws = torch.rand(batch.num_tokens, 3 if longest_span == 1 else 4, generator=rng).to(device)
    ordinary = ordinary_tokens(batch)
    units = torch.arange(batch.num_tokens, device=device)
    if whole_words:
        units = word_units(batch)
    elif longest_span > 1:
        units = _span_units(batch, draws[:, 3], longest_span)
    predict = chosen(batch, ordinary, draws[:, 0], wanted_tokens(batch, ordinary, ratio), units)
    return masked_view(batch, predict, draws[:, 1:3], random_share, keep_share)


@for_whole_batch
def mask_tokens_twice(
    batch: Batch,
    rng: torch.Generator,
    *,
    ratios: tuple[float, float],
    whole_words: bool = False,
    random_share: float = 0.1,
    keep_share: float = 0.1,
) -> tuple[View, View]:
    """Two views of a text, as an encoder and a decoder see it: the larger ratio's asks for all that the other's does.

    Both take units in one random order, as `mask_tokens` does, and each draws for itself what becomes of the tokens
    that it asks for (SMAE's collator, Zhuang et al. 2024). rng: a CPU generator; all randomness is one draw of [T, 5]
    numbers. Raises ReknitError for shares out of range and a vocabulary without a mask token.
    """
    draws = torch.rand(batch.num_tokens, 5, generator=rng).to(batch.tokens.device)
    ordinary = ordinary_tokens(batch)
    units = word_units(batch) if whole_words else torch.arange(batch.num_tokens, device=batch.tokens.device)
    views = []
    for ratio, own in zip(ratios, (draws[:, 1:3], draws[:, 3:5]), strict=True):
        check_shares(batch.vocabulary, ratio, random_share, keep_share)
        # What is taken is the beginning of the order, so more of it holds less of it.
        predict = chosen(batch, ordinary, draws[:, 0], wanted_tokens(batch, ordinary, ratio), units)
        views.append(masked_view(batch, predict, own, random_share, keep_share))
    return views[0], views[1]


def masked_view(batch: Batch, predict: Tensor, draws: Tensor, random_share: float, keep_share: float) -> View:
    """The view that asks for the tokens `predict` ([T] bool) and masks, replaces or keeps each, by draws [T, 2]."""
    mask_share = 1.0 - random_share - keep_share
    masked = predict & (draws[:, 0] < mask_share)
    replaced = predict & ~masked & (draws[:, 0] < mask_share + random_share)
    candidates = ordinary_ids(batch.vocabulary).to(batch.tokens.device)
    # The clamp is for float32 rounding: a draw just below 1 times the count may round up to the count.
    choice = (draws[:, 1] * candidates.numel()).long().clamp(max=candidates.numel() - 1)
    tokens = torch.where(replaced, candidates[choice], batch.tokens)
    tokens = tokens.masked_fill(masked, batch.vocabulary.mask)
    return View(
        tokens=tokens,
        cu_seqlens=batch.cu_seqlens,
        targets=batch.tokens,
        predict=predict,
        masked=masked | replaced,
        signal=batch.signal,
    )


def ordinary_tokens(batch: Batch) -> Tensor:
    """[T] bool, True where the text itself stands: not added by the tokenizer, and no special id."""
    special_ids = torch.tensor(batch.vocabulary.special, dtype=torch.long, device=batch.tokens.device)
    return ~(batch.special | torch.isin(batch.tokens, special_ids))


@lru_cache(maxsize=8)
def ordinary_ids(vocabulary: Vocabulary) -> Tensor:
    """[V - special] int64 on the CPU, every id that may be predicted or drawn as a random replacement."""
    ids = torch.arange(vocabulary.size)
    return ids[~torch.isin(ids, torch.tensor(vocabulary.special, dtype=torch.long))]


def word_units(batch: Batch) -> Tensor:
    """[T] int64, number of the word that each token belongs to, ascending over the packed axis.

    A special token is a word of its own, and so is what follows it, even if a cut has taken the head of that word.
    """
    starts = batch.word_starts | batch.special | batch.special.roll(1)
    starts[batch.cu_seqlens[:-1]] = True
    return starts.cumsum(0) - 1


def _span_units(batch: Batch, draws: Tensor, longest: int) -> Tensor:
    """[T] int64, number of the span that each token belongs to, ascending; no span goes beyond a special token."""
    lengths = (draws * longest).long().clamp(max=longest - 1) + 1
    ends = lengths.cumsum(0)
    starts = batch.special | batch.special.roll(1)
    starts[ends[ends < batch.num_tokens]] = True
    starts[batch.cu_seqlens[:-1]] = True
    return starts.cumsum(0) - 1


def tokens_per_text(batch: Batch, which: Tensor) -> Tensor:
    """[N] int64, how many of the tokens `which` ([T] bool) each sequence has."""
    count = which.new_zeros(batch.num_sequences, dtype=torch.long)
    return count.index_add_(0, segments_of(batch.cu_seqlens), which.long())


def wanted_tokens(batch: Batch, ordinary: Tensor, ratio: float) -> Tensor:
    """[N] how many tokens to ask for in each sequence: a share of the ordinary ones, and one at least."""
    # float64, as Python's own product is: float32 rounds 0.8999999999999999 * 15 up to 14.
    return (ratio * tokens_per_text(batch, ordinary).double()).round().clamp(min=1)


def chosen(batch: Batch, ordinary: Tensor, draws: Tensor, wanted: Tensor, units: Tensor) -> Tensor:
    """[T] bool, the predicted tokens; units (tokens, words, spans) of a sequence are taken in the order of their random
    numbers.

    ordinary: [T] bool, those that may be. wanted: [N], how many of each sequence. units: [T] int64, the number of each
    token's unit, ascending.
    """
    segments = segments_of(batch.cu_seqlens)
    num_units = int(units[-1]) + 1 if units.numel() else 0
    ordinary_count = tokens_per_text(batch, ordinary)
    sizes = ordinary.new_zeros(num_units, dtype=torch.long).index_add_(0, units, ordinary.long())
    first = torch.ones_like(units, dtype=torch.bool)
    first[1:] = units[1:] != units[:-1]
    unit_segments, unit_draws = segments[first], draws[first]

    # One sort for all sequences: by sequence, units without an ordinary token last, then by draw. float64, because
    # float32 could not tell draws apart beside a large sequence number.
    key = unit_segments.double() * 3 + (sizes == 0).double() + unit_draws.double()
    order = key.argsort()
    ordered_sizes, ordered_segments = sizes[order], unit_segments[order]
    before = ordered_sizes.cumsum(0) - ordered_sizes
    sequence_start = torch.cat([ordinary_count.new_zeros(1), ordinary_count.cumsum(0)])[ordered_segments]
    taken_before = before - sequence_start
    fits = taken_before + ordered_sizes / 2 <= wanted[ordered_segments]
    taken = (fits | (taken_before == 0)) & (ordered_sizes > 0)
    is_taken = torch.zeros(num_units, dtype=torch.bool, device=draws.device)
    is_taken[order] = taken
    return is_taken[units] & ordinary


def check_shares(vocabulary: Vocabulary, ratio: float, random_share: float, keep_share: float) -> None:
    """Raise ReknitError for shares out of range, and where masks are needed that the vocabulary does not have."""
    if not 0.0 < ratio <= 1.0:
        raise ReknitError(f"the masking ratio is {ratio}; it must be above 0 and at most 1")
    if min(random_share, keep_share) < 0.0 or random_share + keep_share > 1.0:
        raise ReknitError(
            f"the shares of random ({random_share}) and kept ({keep_share}) tokens must be 0 or more and add up to "
            "at most 1"
        )
    if vocabulary.mask < 0 and random_share + keep_share < 1.0:
        raise ReknitError("this tokenizer has no mask token; choose one that has it, or an objective without masks")
