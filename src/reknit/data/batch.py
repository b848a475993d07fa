"""Packed batches of clean tokens, and the view of them that an encoder is shown."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from reknit.data.attention_rules import AttentionRule, bidirectional


@dataclass(frozen=True)
class Vocabulary:
    """What corruptions and heads must know of a tokenizer.

    `size` is the largest token id plus one; an embedding table has that many rows or more, because tables are often
    padded. `special` are all ids that are never predicted and never drawn as a random replacement. `cls` opens and
    `sep` closes every sequence. A tokenizer without one of the four named tokens has -1 there. `sentence_ends`: ids of
    full stops, question and exclamation marks. signal: the id of rows that a `Signal` says the content of, one of
    `special`; -1 where there are none.
    """

    size: int
    pad: int
    mask: int
    cls: int
    sep: int
    special: tuple[int, ...]
    sentence_ends: tuple[int, ...] = ()
    signal: int = -1


@dataclass(frozen=True)
class Signal:
    """What the rows hold that are no tokens: patches of pictures, frames of sound, points of clouds.

    Such a row stands on the token axis like any other, under a special id (`Vocabulary.signal`), which corruptions of
    texts leave alone. Rows of one kind have values and places of one width.

    at: [P] int64 ascending, their positions on the token axis. values: [P, F] floating point. places: [P, A] int64,
    where each lies in its own picture or sound: row, column, time. kind: which stem reads them ("patch").
    """

    at: Tensor
    values: Tensor
    places: Tensor
    kind: str

    def to(self, device: torch.device | str) -> Signal:
        """The same signal with every tensor on `device`."""
        return Signal(self.at.to(device), self.values.to(device), self.places.to(device), self.kind)

    def between(self, begin: int, end: int) -> Signal:
        """What stands from position `begin` up to `end` of the axis, on an axis that begins there."""
        first, last = torch.searchsorted(self.at, self.at.new_tensor([begin, end])).tolist()
        return Signal(self.at[first:last] - begin, self.values[first:last], self.places[first:last], self.kind)

    @staticmethod
    def join(signals: Sequence[Signal | None], starts: Sequence[int]) -> Signal | None:
        """The signals of sequences that begin at `starts` of one axis, each on its own axis before; None for none.

        Raises ValueError for signals of several kinds.
        """
        found = [(signal, start) for signal, start in zip(signals, starts, strict=True) if signal is not None]
        if not found:
            return None
        kinds = {signal.kind for signal, _ in found}
        if len(kinds) > 1:
            raise ValueError(f"a batch has one kind of signal, not {', '.join(sorted(kinds))}")
        return Signal(
            at=torch.cat([signal.at + start for signal, start in found]),
            values=torch.cat([signal.values for signal, _ in found]),
            places=torch.cat([signal.places for signal, _ in found]),
            kind=kinds.pop(),
        )


@dataclass(frozen=True)
class Batch:
    """Clean sequences, packed end to end on one token axis (no padding anywhere).

    tokens: [T] int64.
    cu_seqlens: [N + 1] int64, 0 first and T last; sequence n is tokens[cu_seqlens[n]:cu_seqlens[n + 1]].
    special: [T] bool, True on tokens that the tokenizer added (such as [CLS] and [SEP]).
    word_starts: [T] bool, True on the first piece of each word and on every special token.
    vocabulary: of the tokenizer that made the tokens.
    sequences_per_example: 1 for text; 2 for pairs, where example i is the sequences 2i (query) and 2i + 1 (passage).
    groups: [N / sequences_per_example] int64 or None; examples of the same group are not each other's negatives.
    tagged: [T] int64 or None; the number of the tagged span that each token belongs to, ascending, -1 outside of all
        (`data/text/taggers.py`). Of a shard, the numbers of the whole batch.
    teacher_targets: what a teacher says of each example, or None; of the whole batch only, not of a shard.
    shard: where these sequences lie in the step's batch when several processes divide it (`data/shard.py`), else None.
    signal: what the rows hold that are no tokens; None for texts.
    """

    tokens: Tensor
    cu_seqlens: Tensor
    special: Tensor
    word_starts: Tensor
    vocabulary: Vocabulary
    sequences_per_example: int = 1
    groups: Tensor | None = None
    tagged: Tensor | None = None
    teacher_targets: TeacherTargets | None = None
    shard: Shard | None = None
    signal: Signal | None = None

    @property
    def whole(self) -> Batch:
        """The step's batch of all processes; in one process this very batch."""
        return self if self.shard is None else self.shard.whole

    @property
    def first_token(self) -> int:
        """Flat position in `whole` of this batch's first token."""
        return 0 if self.shard is None else self.shard.first_token

    @property
    def num_sequences(self) -> int:
        return self.cu_seqlens.numel() - 1

    @property
    def num_tokens(self) -> int:
        return self.tokens.numel()

    def to(self, device: torch.device | str) -> Batch:
        """The same batch with every tensor on `device`."""
        teacher_targets = self.teacher_targets and self.teacher_targets.to(device)
        shard = self.shard and dataclasses.replace(self.shard, whole=self.shard.whole.to(device))
        return dataclasses.replace(
            _map_tensors(self, lambda tensor: tensor.to(device)),
            teacher_targets=teacher_targets,
            shard=shard,
            signal=self.signal and self.signal.to(device),
        )

    @staticmethod
    def pack(
        sequences: Sequence[tuple[Tensor, ...]],
        vocabulary: Vocabulary,
        *,
        sequences_per_example: int = 1,
        groups: Tensor | None = None,
        signals: Sequence[Signal | None] | None = None,
    ) -> Batch:
        """Pack (tokens, special, word_starts) triples, each of three 1-D tensors of one length, into a batch.

        A fourth tensor, of all sequences or none, is the number of each token's tagged span, from any number on.
        signals: of each sequence, on its own axis.
        """
        tokens, special, word_starts, *more = (torch.cat(parts) for parts in zip(*sequences, strict=True))
        cu_seqlens = torch.tensor([0] + [sequence[0].numel() for sequence in sequences]).cumsum(0)
        return Batch(
            tokens=tokens,
            cu_seqlens=cu_seqlens,
            special=special,
            word_starts=word_starts,
            vocabulary=vocabulary,
            sequences_per_example=sequences_per_example,
            groups=groups,
            tagged=counted_spans(more[0], cu_seqlens) if more else None,
            signal=Signal.join(signals, cu_seqlens[:-1].tolist()) if signals else None,
        )


@dataclass(frozen=True)
class TeacherTargets:
    """How a teacher ranks documents for the N examples of a batch.

    documents: [D, dim] vectors of length 1. targets: [N, D] float32, the probability of each document by the teacher;
    every row sums to 1. left_out: [N, D] bool, documents that are not considered for an example; their targets are 0.
    """

    documents: Tensor
    targets: Tensor
    left_out: Tensor

    def to(self, device: torch.device | str) -> TeacherTargets:
        return TeacherTargets(self.documents.to(device), self.targets.to(device), self.left_out.to(device))


@dataclass(frozen=True)
class Shard:
    """The sequences `first` up to `last` of the batch `whole`, whose tokens begin at flat position `first_token`."""

    whole: Batch
    first: int
    last: int
    first_token: int


@dataclass(frozen=True)
class View:
    """What the encoder sees of a batch, and what it must give back.

    tokens: [T] int64, with hidden, replaced or reordered tokens.
    cu_seqlens: [N + 1] int64, as in `Batch`.
    targets: [T] int64, the clean token at each position.
    predict: [T] bool, positions whose token is predicted.
    masked: [T] bool, positions whose content the encoder cannot know ("is-masked" for attention rules).
    attention: which key each query may look at.
    kept: [K] int64 ascending or None; the only flat positions that enter the blocks (masked image models drop
        the others before the first block). Every sequence keeps at least one position. Kept tokens keep their
        original position numbers.
    signal: as in `Batch`; a row of it that is `masked` does not show its values.
    """

    tokens: Tensor
    cu_seqlens: Tensor
    targets: Tensor
    predict: Tensor
    masked: Tensor
    attention: AttentionRule = bidirectional
    kept: Tensor | None = None
    signal: Signal | None = None

    @staticmethod
    def clean(batch: Batch, attention: AttentionRule = bidirectional) -> View:
        """The uncorrupted view: everything visible, nothing to predict."""
        nothing = torch.zeros_like(batch.special)
        return View(batch.tokens, batch.cu_seqlens, batch.tokens, nothing, nothing, attention, signal=batch.signal)


def segments_of(cu_seqlens: Tensor) -> Tensor:
    """[N + 1] offsets -> [T] number of the sequence that each token belongs to."""
    lengths = cu_seqlens.diff()
    return torch.repeat_interleave(torch.arange(lengths.numel(), device=cu_seqlens.device), lengths)


def positions_of(cu_seqlens: Tensor) -> Tensor:
    """[N + 1] offsets -> [T] place of each token in its own sequence, from 0."""
    starts = torch.repeat_interleave(cu_seqlens[:-1], cu_seqlens.diff())
    return torch.arange(int(cu_seqlens[-1]), device=cu_seqlens.device) - starts


def span_starts(numbers: Tensor, cu_seqlens: Tensor) -> Tensor:
    """[T] bool, the first token of each tagged span, of numbers that tell neighbouring spans of a sequence apart.

    numbers: [T] int64, -1 outside of all spans.
    """
    starts = torch.ones_like(numbers, dtype=torch.bool)
    starts[1:] = numbers[1:] != numbers[:-1]
    starts[cu_seqlens[:-1][cu_seqlens[:-1] < numbers.numel()]] = True
    return starts & (numbers >= 0)


def counted_spans(numbers: Tensor, cu_seqlens: Tensor) -> Tensor:
    """[T] int64, the numbers of `span_starts` -> numbers from 0 on without gaps, as `Batch.tagged` has them."""
    return (span_starts(numbers, cu_seqlens).cumsum(0) - 1).masked_fill(numbers < 0, -1)


def _map_tensors(batch: Batch, change: Callable[[Tensor], Tensor]) -> Batch:
    fields = {field.name: getattr(batch, field.name) for field in dataclasses.fields(batch)}
    changed: dict[str, Any] = {n: change(value) if isinstance(value, Tensor) else value for n, value in fields.items()}
    return Batch(**changed)
