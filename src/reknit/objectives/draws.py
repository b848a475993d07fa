"""Which tokens and texts of a step a costly loss is computed on, where it is computed on a sample.

Each is taken independently with probability `share`. The mean loss of the sample is an unbiased estimate of the mean
over all: given the size of the sample, all samples of that size are equally likely, and when it is empty, all are
taken. The random numbers are hashes of the seed and the position in the step's whole batch, so every process has the
same.
"""

from __future__ import annotations

import torch
from torch import Tensor

from reknit.corruptions.masking import ordinary_tokens
from reknit.data.batch import Batch, segments_of
from reknit.data.shard import for_whole_batch
from reknit.decoders.enhanced import hashed_uniform

# One number for each random decision, so that no two are hashed from the same pair of numbers; -2 is used for the keys
# of a decoder's rows and columns (`hashed_choice`).
_TOKENS, _TEXTS = -1, -9
# The other random decisions about a token, text or block, one number each.
SAMPLED_TOKEN, VISIBLE_TO_DECODER, FROM_ENCODER, CAUSAL_TEXT, GENERATED_PAIR, HIDDEN_BLOCK = -3, -4, -5, -6, -7, -8


def draw_seed(rng: torch.Generator) -> int:
    """The seed of a step's draws that are hashes; drawn before anything whose count depends on the batch."""
    return int(torch.randint(2**62, (), generator=rng))


@for_whole_batch
def token_draws(batch: Batch, seed: int, stream: int) -> Tensor:
    """[T] uniform numbers from 0 to below 1, one for each token; `stream` is the number of the decision that they are
    for."""
    places = torch.arange(batch.num_tokens, device=batch.tokens.device)
    return hashed_uniform(seed, places, torch.full_like(places, stream))


@for_whole_batch
def text_draws(batch: Batch, seed: int, stream: int) -> Tensor:
    """[T] the same with one number a text, which all its tokens share."""
    numbers = torch.arange(batch.num_sequences, device=batch.tokens.device)
    return hashed_uniform(seed, numbers, torch.full_like(numbers, stream))[segments_of(batch.cu_seqlens)]


@for_whole_batch
def drawn_tokens(batch: Batch, seed: int, share: float) -> Tensor:
    """[T] bool, ordinary tokens, each drawn with probability `share` (above 0; all of them at 1)."""
    return _drawn(ordinary_tokens(batch), seed, _TOKENS, share)


@for_whole_batch
def drawn_texts(batch: Batch, seed: int, share: float) -> Tensor:
    """[T] bool, every token of each text that is drawn with probability `share` (above 0; all texts at 1).

    A text without ordinary tokens is never drawn, as it has no bag of words.
    """
    segments = segments_of(batch.cu_seqlens)
    with_words = torch.zeros(batch.num_sequences, dtype=torch.bool, device=segments.device)
    with_words[segments[ordinary_tokens(batch)]] = True
    return _drawn(with_words, seed, _TEXTS, share)[segments]


def _drawn(candidates: Tensor, seed: int, stream: int, share: float) -> Tensor:
    """[n] bool -> [n] bool, the candidates drawn."""
    if share >= 1.0:
        return candidates
    places = torch.arange(candidates.numel(), device=candidates.device)
    drawn = candidates & (hashed_uniform(seed, places, torch.full_like(places, stream)) < share)
    return drawn if drawn.any() else candidates
