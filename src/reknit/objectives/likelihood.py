"""How likely a language model finds whole texts: log p(text), or of masked models the pseudo-log-likelihood."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional

from reknit.corruptions.masking import ordinary_tokens
from reknit.corruptions.next_token import predict_next
from reknit.data.batch import Batch, View, segments_of
from reknit.decoders.language_model_head import LanguageModelHead
from reknit.encoders.base import TokenEncoder
from reknit.objectives.base import TextLikelihood

_TOKENS_AT_ONCE = 16_384


@torch.no_grad()
def causal_log_likelihood(encoder: TokenEncoder, head: LanguageModelHead, batch: Batch) -> TextLikelihood:
    """The sum over each text's ordinary tokens but a first one without context of log p(token | those before)."""
    view = predict_next(batch, torch.Generator())
    places = view.predict.nonzero().squeeze(1)
    states = head(encoder(view).last[places - 1])
    logs = _log_probabilities(states, encoder.table, head.bias, batch.tokens[places])
    return _summed(logs, segments_of(batch.cu_seqlens)[places], batch.num_sequences, causal=True)


def masked_log_likelihood(
    encoder: TokenEncoder,
    head: LanguageModelHead,
    batch: Batch,
    read: Callable[[Tensor], Tensor] = lambda states: states,
) -> TextLikelihood:
    """The pseudo-log-likelihood where `head` reads the encoder's own states, as `read` arranges them."""

    def states_of(view: View) -> Tensor:
        states: Tensor = head(read(encoder(view).last))
        return states

    return pseudo_log_likelihood(states_of, encoder.table, head.bias, batch)


@torch.no_grad()
def pseudo_log_likelihood(
    states_of: Callable[[View], Tensor], table: Tensor, bias: Tensor, batch: Batch
) -> TextLikelihood:
    """The sum over each text's ordinary tokens of log p(token | all others): each is masked in a copy of its own
    (Salazar et al. 2020).

    states_of: from a view to [T, dim] states ready for the product with `table`.
    """
    places = ordinary_tokens(batch).nonzero().squeeze(1)
    segments = segments_of(batch.cu_seqlens)
    lengths = batch.cu_seqlens.diff()
    logs = torch.zeros(places.numel(), device=batch.tokens.device)
    first = 0
    while first < places.numel():
        # As many copies as fit, one at least.
        copied = lengths[segments[places[first:]]].cumsum(0)
        count = max(1, int((copied <= _TOKENS_AT_ONCE).sum()))
        part = places[first : first + count]
        found = _masked_one_by_one(states_of, table, bias, batch, part, segments[part])
        logs[first : first + count] = found
        first += count
    return _summed(logs, segments[places], batch.num_sequences, causal=False)


def _summed(logs: Tensor, owners: Tensor, texts: int, *, causal: bool) -> TextLikelihood:
    """From [P] log-likelihoods of tokens, and [P] numbers of the texts that they are of."""
    total = torch.zeros(texts, device=logs.device).index_add_(0, owners, logs)
    return TextLikelihood(total, torch.bincount(owners, minlength=texts), causal)


def _masked_one_by_one(
    states_of: Callable[[View], Tensor], table: Tensor, bias: Tensor, batch: Batch, places: Tensor, owners: Tensor
) -> Tensor:
    """[P] log p of each place's token, its text repeated once for each place."""
    lengths = batch.cu_seqlens.diff()[owners]
    offsets = functional.pad(lengths.cumsum(0), (1, 0))
    starts = batch.cu_seqlens[:-1][owners]
    source = torch.arange(int(offsets[-1]), device=places.device) + (starts - offsets[:-1]).repeat_interleave(lengths)
    asked = places - starts + offsets[:-1]
    copies = replace(
        batch,
        tokens=batch.tokens[source],
        cu_seqlens=offsets,
        special=batch.special[source],
        word_starts=batch.word_starts[source],
        tagged=None,
    )
    hidden = torch.zeros_like(copies.special)
    hidden[asked] = True
    view = View(copies.tokens.masked_fill(hidden, batch.vocabulary.mask), offsets, copies.tokens, hidden, hidden)
    return _log_probabilities(states_of(view)[asked], table, bias, batch.tokens[places])


def _log_probabilities(states: Tensor, table: Tensor, bias: Tensor, tokens: Tensor) -> Tensor:
    """[P] log of the softmax of states @ table.T + bias at each token."""
    logits = (states @ table.t()).float() + bias
    return functional.log_softmax(logits, dim=1).gather(1, tokens[:, None]).squeeze(1)
