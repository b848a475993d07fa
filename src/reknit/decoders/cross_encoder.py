"""A ranker that reads two texts at once and gives them one score."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from reknit.data.batch import Batch, View, positions_of, segments_of
from reknit.decoders.initial_weights import draw_like_bert
from reknit.encoders.base import Encoder
from reknit.encoders.pooling import pool
from reknit.errors import ReknitError


class CrossEncoder(nn.Module):
    """An encoder of its own, begun as a copy of the one given, and a linear layer to one score (Nogueira & Cho 2019).

    pooling: how the vector is made that the score is read from. Both texts have the same token type.
    """

    def __init__(self, encoder: Encoder, pooling: str) -> None:
        super().__init__()
        self.encoder, self.pooling = copy.deepcopy(encoder), pooling
        self.score = nn.Linear(encoder.dim, 1)
        draw_like_bert((self.score,))

    def forward(self, batch: Batch, first: Tensor, second: Tensor) -> Tensor:
        """[P] numbers of the batch's sequences and of those to read behind them -> [P] scores.

        Raises ReknitError as `joined` does.
        """
        view = joined(batch, first, second, getattr(self.encoder, "max_positions", None))
        vectors = pool(self.encoder(view), self.pooling)
        scores: Tensor = self.score(vectors.to(self.score.weight.dtype)).squeeze(1)
        return scores


def joined(batch: Batch, first: Tensor, second: Tensor, limit: int | None = None) -> View:
    """P sequences "[CLS] first [SEP] second [SEP]" of the batch's, packed, uncorrupted; see `joined_rows`."""
    rows, cu_seqlens = joined_rows(batch, first, second, limit)
    tokens = batch.tokens[rows]
    nothing = torch.zeros_like(tokens, dtype=torch.bool)
    return View(tokens, cu_seqlens, tokens, nothing, nothing)


def joined_rows(batch: Batch, first: Tensor, second: Tensor, limit: int | None = None) -> tuple[Tensor, Tensor]:
    """Which of the batch's tokens make up "[CLS] first [SEP] second [SEP]"; every sequence may be used many times.

    first, second: [P] int64 numbers of sequences. limit: tokens at most; what is too much is cut off the end of the
    second text, whose last token (the closing one) stays. A tokenizer without [CLS] or [SEP] has none here either.
    Returns [J] int64 flat positions in the batch, and [P + 1] offsets of the joined sequences among them. Raises
    ReknitError where the first sequence leaves the second no room.
    """
    starts, lengths = batch.cu_seqlens[:-1], batch.cu_seqlens.diff()
    opening = torch.zeros_like(lengths)
    filled = lengths > 0
    opening[filled] = (batch.tokens[starts[filled]] == batch.vocabulary.cls).to(lengths.dtype)
    before, after = lengths[first], lengths[second] - opening[second]
    if limit is not None:
        if bool((before >= limit).any()):
            raise ReknitError(
                f"a query of {int(before.max())} tokens leaves a passage no room within the model's {limit} positions; "
                "lower data.query_max_length"
            )
        after = torch.minimum(after, limit - before)
    cu_seqlens = torch.cat((before.new_zeros(1), (before + after).cumsum(0)))
    pairs, places = segments_of(cu_seqlens), positions_of(cu_seqlens)
    behind = places - before[pairs]  # place in the second text, below 0 in the first
    begins, last = starts[second] + opening[second], starts[second] + lengths[second] - 1
    rows = torch.where(behind < 0, starts[first][pairs] + places, begins[pairs] + behind)
    rows = torch.where((behind >= 0) & (behind == after[pairs] - 1), last[pairs], rows)
    return rows, cu_seqlens
