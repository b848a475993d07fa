"""A damaged text and behind it the clean one, in one sequence: what an encoder without a decoder writes again."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from reknit.corruptions.masking import ordinary_tokens
from reknit.corruptions.noising import noised
from reknit.data.attention_rules import PrefixThenCausal
from reknit.data.batch import Batch, View, positions_of, segments_of
from reknit.data.shard import shard_of_examples


class Rewriting(NamedTuple):
    """A view of damaged texts, each followed by its clean one, and where its tokens come from.

    view: R tokens; it asks for the ordinary tokens of the clean texts, to be read from the place before each. places:
    [R] int64, the flat position in the batch of each token of the clean texts, -1 in the damaged ones. unseen: [R]
    bool, tokens of the clean texts that the damaged ones do not show.
    """

    view: View
    places: Tensor
    unseen: Tensor


def damaged_then_clean(
    batch: Batch, rng: torch.Generator, *, ratio: float = 0.15, mean_span: float = 5.0, limit: int | None = None
) -> Rewriting:
    """Sequences "[CLS] damaged text [SEP] clean text [SEP]" (UniXcoder's denoising, Guo et al. 2022).

    Spans are hidden as in `noised`, a mask token for each; sentences stay in order. The damaged part sees itself in
    both directions; each token of the clean part sees the damaged one and what came before it. A tokenizer that adds no
    token at the beginning or end of a text has none here either.

    batch: T packed tokens. rng: a CPU generator, drawn from for the whole batch of all processes. limit: tokens of a
    sequence at most; a longer text takes part with its beginning, half of them. Raises ReknitError as `noised` does.
    """
    source = torch.arange(batch.num_tokens, device=batch.tokens.device)
    if limit is not None:
        batch, source = beginnings(batch, max(limit // 2, 1))
    damaged, unseen = noised(batch, rng, noise="infilling", ratio=ratio, mean_span=mean_span, permute_sentences=False)
    # The token that opens a text is there already.
    clean = (~(batch.special & (positions_of(batch.cu_seqlens) == 0))).nonzero().squeeze(1)
    # The damaged part of text n sorts as 2n, its clean part as 2n + 1.
    parts = torch.cat((2 * segments_of(damaged.cu_seqlens), 2 * segments_of(batch.cu_seqlens)[clean] + 1))
    order = parts.argsort(stable=True)
    before = torch.zeros_like(damaged.tokens)  # what the damaged part has nothing to say about
    asked = torch.cat((before.bool(), ordinary_tokens(batch)[clean]))[order]
    places = torch.cat((before - 1, source[clean]))[order]
    unseen = torch.cat((before.bool(), unseen[clean]))[order]
    hidden = torch.cat((damaged.masked, torch.zeros_like(batch.special)[clean]))[order]
    tokens, parts = torch.cat((damaged.tokens, batch.tokens[clean]))[order], parts[order]
    cu_seqlens = _offsets(parts // 2, batch.num_sequences)
    if limit is not None:
        # Spans of length 0 make a damaged text longer, by a token or two; the end of the clean one gives way.
        fits = positions_of(cu_seqlens) < limit
        asked, places, unseen, hidden, tokens, parts = (
            each[fits] for each in (asked, places, unseen, hidden, tokens, parts)
        )
        cu_seqlens = _offsets(parts // 2, batch.num_sequences)
    view = View(tokens, cu_seqlens, tokens, asked, hidden, PrefixThenCausal(parts % 2 == 1))
    return Rewriting(view, places, unseen)


def beginnings(batch: Batch, limit: int) -> tuple[Batch, Tensor]:
    """Texts cut to their first `limit` tokens, and [T'] int64, where in the batch their tokens stand.

    The last token of a longer text stays as its last where the tokenizer added it. Of a share, a share is made.
    """
    whole, kept = _cut(batch.whole, limit)
    if batch.shard is None:
        return whole, kept.nonzero().squeeze(1)
    width = batch.sequences_per_example
    own = shard_of_examples(whole, batch.shard.first // width, batch.shard.last // width)
    begin = batch.shard.first_token
    return own, kept[begin : begin + batch.num_tokens].nonzero().squeeze(1)


def _cut(batch: Batch, limit: int) -> tuple[Batch, Tensor]:
    """A whole batch, cut, and [T] bool, the tokens that are left."""
    texts, place = segments_of(batch.cu_seqlens), positions_of(batch.cu_seqlens)
    is_last = place == batch.cu_seqlens.diff()[texts] - 1
    closes = torch.zeros(batch.num_sequences, dtype=torch.long, device=texts.device)
    closes[texts[is_last & batch.special]] = 1
    kept = (place < limit - closes[texts]) | (is_last & batch.special)
    short = replace(
        batch,
        tokens=batch.tokens[kept],
        cu_seqlens=_offsets(texts[kept], batch.num_sequences),
        special=batch.special[kept],
        word_starts=batch.word_starts[kept],
        tagged=None if batch.tagged is None else batch.tagged[kept],
    )
    return short, kept


def _offsets(texts: Tensor, count: int) -> Tensor:
    """[n] ascending numbers of `count` texts -> [count + 1] int64 offsets."""
    return functional.pad(torch.bincount(texts, minlength=count).cumsum(0), (1, 0))
