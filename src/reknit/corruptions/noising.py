"""The noise of denoising sequence-to-sequence models: spans and sentences that a decoder has to put right."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor

from reknit.data.batch import Batch, View
from reknit.data.shard import for_whole_batch
from reknit.errors import ReknitError

Noise = Literal["infilling", "masking", "deletion", "none"]


@for_whole_batch
def noised(
    batch: Batch,
    rng: torch.Generator,
    *,
    noise: Noise = "infilling",
    ratio: float = 0.3,
    mean_span: float = 3.0,
    permute_sentences: bool = True,
) -> tuple[View, Tensor]:
    """Texts as BART's encoder sees them (Lewis et al. 2020, section 2.2), and [T] bool, the tokens that it cannot see.

    Between the tokens that a tokenizer adds at both ends, sentences (cut after `vocabulary.sentence_ends`) are put in a
    random order, then `ceil(ratio * tokens)` tokens of each text are removed. "infilling" removes spans whose lengths
    follow a Poisson distribution with mean `mean_span` (the last one is cut) and puts one mask token in place of each;
    a span of length 0 is a mask token between two tokens. "masking" puts a mask token in the place of each token,
    "deletion" nothing. All positions of the spans are equally likely, and spans do not overlap.

    batch: T packed tokens. rng: a CPU generator. The view has as many sequences as the batch, of other lengths, and
    nothing to predict: the decoder predicts the text itself. Raises ReknitError for a ratio or mean out of range, and a
    vocabulary without a mask token where one is needed.
    """
    if not 0.0 < ratio < 1.0 or mean_span <= 0.0:
        raise ReknitError(
            f"ratio is {ratio} and mean_span {mean_span}; the first is between 0 and 1, the second above 0"
        )
    if batch.vocabulary.mask < 0 and noise in ("infilling", "masking"):
        raise ReknitError('this tokenizer has no mask token; take objective.noise="deletion" or another tokenizer')
    sources = []
    # Texts are cut and put together on the processor: small pieces each, which a device would wait for.
    own, ends = (~batch.special).cpu(), _sentence_ends(batch).cpu()
    for first, last in pairwise(batch.cu_seqlens.tolist()):
        inner = own[first:last].nonzero().squeeze(1)
        if inner.numel() == 0:
            sources.append(torch.arange(first, last))
            continue
        begin, end = first + int(inner[0]), first + int(inner[-1]) + 1
        middle = torch.arange(begin, end)
        if permute_sentences:
            middle = _permuted(middle, ends[begin:end], rng)
        if noise != "none":
            middle = _hide(middle, rng, noise, ratio, mean_span)
        sources.append(torch.cat((torch.arange(first, begin), middle, torch.arange(end, last))))
    source = torch.cat(sources).to(batch.tokens.device)
    offsets = torch.tensor([0] + [each.numel() for each in sources], device=batch.tokens.device).cumsum(0)
    hidden = source < 0
    tokens = batch.tokens[source.clamp(min=0)].masked_fill(hidden, batch.vocabulary.mask)
    unseen = torch.ones(batch.num_tokens, dtype=torch.bool, device=batch.tokens.device)
    unseen[source[~hidden]] = False
    return View(tokens, offsets, tokens, torch.zeros_like(hidden), hidden), unseen


def _sentence_ends(batch: Batch) -> Tensor:
    """[T] bool, tokens behind which a sentence ends."""
    ends = torch.tensor(batch.vocabulary.sentence_ends, dtype=torch.long, device=batch.tokens.device)
    return torch.isin(batch.tokens, ends)


def _permuted(places: Tensor, ends: Tensor, rng: torch.Generator) -> Tensor:
    """[n] places of a text, and where its sentences end -> the same, its sentences in a random order."""
    cuts = ends.nonzero().squeeze(1) + 1
    sentences = [part for part in places.tensor_split(cuts.tolist()) if part.numel()]
    return torch.cat([sentences[number] for number in torch.randperm(len(sentences), generator=rng).tolist()])


def _hide(places: Tensor, rng: torch.Generator, noise: Noise, ratio: float, mean_span: float) -> Tensor:
    """[n] places of a text -> those that are left, in order, with -1 for each mask token."""
    wanted = math.ceil(ratio * places.numel())
    lengths = _span_lengths(wanted, mean_span, rng) if noise == "infilling" else [1] * wanted
    # Each arrangement of the spans among the tokens that stay is as likely as any other.
    items = places.numel() - wanted + len(lengths)
    is_span = torch.zeros(items, dtype=torch.bool)
    is_span[torch.randperm(items, generator=rng)[: len(lengths)]] = True
    left, place, of_span, text = [], 0, iter(lengths), places.tolist()
    for span in is_span.tolist():
        if not span:
            left.append(text[place])
            place += 1
            continue
        place += next(of_span)
        if noise != "deletion":
            left.append(-1)
    return torch.tensor(left, dtype=torch.long)


def _span_lengths(total: int, mean: float, rng: torch.Generator) -> list[int]:
    """Lengths by Poisson's distribution, 0 among them, until they have `total` tokens; the last one is cut."""
    lengths: list[int] = []
    while sum(lengths) < total:
        drawn = torch.poisson(torch.full((max(4, math.ceil(total / mean)),), mean), generator=rng).long().tolist()
        for length in drawn:
            left = total - sum(lengths)
            if left == 0:
                break
            lengths.append(min(length, left))
    return lengths
