"""A step's batch divided among processes, and random numbers that do not depend on how many processes there are."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace
from typing import Concatenate, ParamSpec, TypeVar

import torch
from torch import Tensor

from reknit.data.attention_rules import shifted
from reknit.data.batch import Batch, Shard, View
from reknit.errors import ReknitError

Result = TypeVar("Result", View, Tensor, tuple[View, Tensor], tuple[View, View])
More = ParamSpec("More")


def shard_of(batch: Batch, rank: int, size: int) -> Batch:
    """Process `rank`'s shard (from 0) of a batch that `size` processes divide.

    Shards are runs of whole examples with about the same number of tokens each; a pair is never parted. A batch of
    fewer examples than processes is not divided: each gets all of it, and as their losses are then equal, so is the
    average of their gradients (see `reknit.collectives`).
    """
    bounds = _bounds(batch, size)
    if bounds is None:
        return batch
    return shard_of_examples(batch, bounds[rank], bounds[rank + 1])


def shard_of_examples(batch: Batch, first: int, last: int) -> Batch:
    """The examples from `first` up to `last` of a whole batch, as a shard of it."""
    width = batch.sequences_per_example
    groups = None if batch.groups is None else batch.groups[first:last]
    first, last = first * width, last * width
    begin, end = int(batch.cu_seqlens[first]), int(batch.cu_seqlens[last])
    return replace(
        batch,
        tokens=batch.tokens[begin:end],
        cu_seqlens=batch.cu_seqlens[first : last + 1] - begin,
        special=batch.special[begin:end],
        word_starts=batch.word_starts[begin:end],
        groups=groups,
        tagged=None if batch.tagged is None else batch.tagged[begin:end],
        teacher_targets=None,
        shard=Shard(batch, first, last, begin),
        signal=batch.signal and batch.signal.between(begin, end),
    )


def for_whole_batch(function: Callable[Concatenate[Batch, More], Result]) -> Callable[Concatenate[Batch, More], Result]:
    """Let a function of a batch that uses random numbers see the step's whole batch, and cut its result to the shard
    given.

    So every process makes the same draws, and a token's random numbers are the same however many there are. This
    costs each of them the corruption of the whole batch, which is little beside a training step. The function may
    answer a View (its sequences are those of the batch, in the same order), one value per token, [T], or two of
    these. Raises ReknitError where the batch has rows that are no tokens and the view does not: a function that
    moves rows about cannot say where those of a signal are.
    """

    @functools.wraps(function)
    def on_shard(batch: Batch, /, *args: More.args, **kwargs: More.kwargs) -> Result:
        result = function(batch.whole, *args, **kwargs)
        if _has_lost_signal(result):
            refuse_signal(batch.whole)
        return result if batch.shard is None else _cut(result, batch.shard)

    return on_shard


def _bounds(batch: Batch, size: int) -> list[int] | None:
    """[size + 1] numbers of the first examples of the shards, at least one example each; None when they are too few."""
    examples = batch.num_sequences // batch.sequences_per_example
    if size == 1 or examples < size:
        return None
    ends = batch.cu_seqlens[:: batch.sequences_per_example]
    wanted = torch.arange(1, size) * batch.num_tokens / size
    nearest = (ends[:, None] - wanted[None, :]).abs().argmin(dim=0).tolist()
    bounds = [0]
    for number, bound in enumerate(nearest, 1):
        bounds.append(min(max(bound, bounds[-1] + 1), examples - (size - number)))
    return [*bounds, examples]


def refuse_signal(batch: Batch) -> None:
    """Raise ReknitError where a batch that is to be cut and put together anew has rows that are no tokens."""
    if batch.signal is not None:
        raise ReknitError(
            "this recipe adds, drops or moves tokens, so it cannot be used for pictures or sounds: use one that "
            "masks in place, such as mlm"
        )


def _has_lost_signal(result: View | Tensor | tuple[View | Tensor, ...]) -> bool:
    parts = result if isinstance(result, tuple) else (result,)
    return any(isinstance(part, View) and part.signal is None for part in parts)


def _cut(result: Result, shard: Shard) -> Result:
    if isinstance(result, tuple):
        return tuple(_cut(part, shard) for part in result)  # type: ignore[return-value,type-var]
    if isinstance(result, Tensor):
        return _cut_values(result, shard)  # type: ignore[return-value]
    return _cut_view(result, shard)


def _cut_values(values: Tensor, shard: Shard) -> Tensor:
    offsets = shard.whole.cu_seqlens
    return values[int(offsets[shard.first]) : int(offsets[shard.last])]


def _cut_view(view: View, shard: Shard) -> View:
    begin, end = int(view.cu_seqlens[shard.first]), int(view.cu_seqlens[shard.last])
    kept = view.kept
    if kept is not None:
        kept = kept[(kept >= begin) & (kept < end)] - begin
    return View(
        tokens=view.tokens[begin:end],
        cu_seqlens=view.cu_seqlens[shard.first : shard.last + 1] - begin,
        targets=view.targets[begin:end],
        predict=view.predict[begin:end],
        masked=view.masked[begin:end],
        attention=shifted(view.attention, begin),
        kept=kept,
        signal=view.signal and view.signal.between(begin, end),
    )
