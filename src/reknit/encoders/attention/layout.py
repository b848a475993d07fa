"""Where packed tokens go for attention: buckets of sequences of like length, planned once per forward pass."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from reknit.data.attention_rules import (
    AttentionContext,
    AttentionRule,
    Both,
    CausalWhere,
    VisibleKeys,
    Window,
    bidirectional,
    causal,
)
from reknit.data.batch import positions_of

MAX_PADDING = 0.15
# Below this size a bucket costs more in calls than in arithmetic, so some more padding is cheaper than a second one.
SMALL_BUCKET_SLOTS = 512


@dataclass(frozen=True)
class Bucket:
    """`sequences` sequences padded to `length`; their slots are start : start + sequences * length of the slot axis."""

    sequences: int
    length: int
    start: int

    @property
    def slots(self) -> int:
        return self.sequences * self.length


class AttentionLayout:
    """Where every packed token goes for attention. Make one per forward pass with `AttentionLayout.of`.

    buckets: in order on the slot axis (all buckets, padding included).
    source: [S] int64 packed position shown in each slot (padding repeats position 0), None when slots = positions.
    slot: [T] int64 slot of each packed token, None when slots = positions.
    padding: [S] bool, None when no slot is padding.
    """

    def __init__(
        self,
        buckets: tuple[Bucket, ...],
        source: Tensor | None,
        slot: Tensor | None,
        padding: Tensor | None,
        places: Tensor,
        indices: Tensor,
        hidden: Tensor,
        longest_reach: int,
    ) -> None:
        self.buckets = buckets
        self.source = source
        self.slot = slot
        self.padding = padding
        self._places = places
        self._indices = indices
        self._hidden = hidden
        self._longest_reach = longest_reach
        self._masks: dict[tuple[int, int, int | None], tuple[AttentionRule, Tensor | None]] = {}

    @classmethod
    def of(
        cls,
        cu_seqlens: Tensor,
        hidden: Tensor | None = None,
        *,
        positions: Tensor | None = None,
        indices: Tensor | None = None,
    ) -> AttentionLayout:
        """The layout of packed sequences.

        cu_seqlens: [N + 1] int64 offsets on the packed axis (sequences of no tokens are allowed).
        hidden: [T] bool for `AttentionContext.query_masked`; None means that nothing is hidden.
        positions: [T] int64 place of each token in its sequence; by default 0, 1, 2, ...
        indices: [T] int64 number that a rule gets as the flat position of each token (`query_index`, `key_index`); by
            default 0 .. T - 1. Give both when the tokens are a subset of a longer packed axis (`View.kept`).
        """
        device = cu_seqlens.device
        offsets = cu_seqlens.cpu()
        total = int(offsets[-1])
        buckets, source, padding = _plan(offsets)
        places = positions_of(cu_seqlens) if positions is None else positions
        longest_reach = int(places.max()) if total else 0
        indices = torch.arange(total, device=device) if indices is None else indices
        hidden = torch.zeros(total, dtype=torch.bool, device=device) if hidden is None else hidden
        if not padding.any() and torch.equal(source, torch.arange(total)):
            return cls(buckets, None, None, None, places, indices, hidden, longest_reach)
        slot = torch.empty(total, dtype=torch.int64)
        filled = ~padding
        slot[source[filled]] = filled.nonzero().squeeze(1)
        return cls(
            buckets,
            source.to(device),
            slot.to(device),
            padding.to(device) if padding.any() else None,
            places,
            indices,
            hidden,
            longest_reach,
        )

    def to_slots(self, packed: Tensor) -> Tensor:
        """[T, ...] in packed order -> [S, ...] in bucket order; padding slots repeat position 0."""
        if self.source is None or self.slot is None:
            return packed
        return put_in_slots(packed, self.source, self.slot)

    def from_slots(self, slots: Tensor) -> Tensor:
        """[S, ...] in bucket order -> [T, ...] in packed order; padding is dropped."""
        if self.source is None or self.slot is None:
            return slots
        return take_from_slots(slots, self.source, self.slot, self.padding)

    def mask(self, bucket: Bucket, rule: AttentionRule, layer: int) -> Tensor | None:
        """Who sees whom in a bucket: bool, broadcasts to [sequences, 1, queries, keys]; None means that all do.

        A query that a rule leaves without any key sees position 0 of its own sequence, so that no softmax runs over
        nothing (which would give NaN).
        """
        rule = _simplify(rule, self._longest_reach)
        key = (bucket.start, id(rule), None if _same_in_every_layer(rule) else layer)
        if key not in self._masks:
            # The rule is kept beside its mask: while it is alive no other rule can get its id.
            self._masks[key] = (rule, self._make_mask(bucket, rule, layer, None))
        return self._masks[key][1]

    def mask_of_rows(self, bucket: Bucket, rule: AttentionRule, layer: int, rows: Tensor) -> Tensor | None:
        """`mask` for some queries of each sequence: rows is [sequences, queries] int64, their places in the bucket."""
        return self._make_mask(bucket, _simplify(rule, self._longest_reach), layer, rows)

    def mask_of_keys(self, bucket: Bucket) -> Tensor | None:
        """[sequences, 1, 1, keys] bool, False on padding, for queries from outside; None means that there is none."""
        return self._make_mask(bucket, bidirectional, 0, None)

    def context(self, bucket: Bucket, layer: int) -> AttentionContext:
        """What a rule may look at for one bucket; every tensor is [b, L, 1] (queries) or [b, 1, L] (keys)."""
        stop = bucket.start + bucket.slots
        slots = slice(bucket.start, stop) if self.source is None else self.source[bucket.start : stop]
        shape = (bucket.sequences, bucket.length)
        places, indices, hidden = (values[slots].view(shape) for values in (self._places, self._indices, self._hidden))
        return AttentionContext(
            query=places.unsqueeze(2),
            key=places.unsqueeze(1),
            query_index=indices.unsqueeze(2),
            key_index=indices.unsqueeze(1),
            query_masked=hidden.unsqueeze(2),
            key_masked=hidden.unsqueeze(1),
            layer=layer,
        )

    def _make_mask(self, bucket: Bucket, rule: AttentionRule, layer: int, rows: Tensor | None) -> Tensor | None:
        real_keys = None
        if self.padding is not None:
            padding = self.padding[bucket.start : bucket.start + bucket.slots].view(bucket.sequences, bucket.length)
            real_keys = ~padding.view(bucket.sequences, 1, 1, bucket.length) if padding.any() else None
        if rule is bidirectional:
            return real_keys
        context = self.context(bucket, layer)
        if rows is not None:
            asked = {name: getattr(context, name) for name in ("query", "query_index", "query_masked")}
            context = replace(context, **{name: values.gather(1, rows[..., None]) for name, values in asked.items()})
        visible = rule(context).expand(bucket.sequences, context.query.shape[1], bucket.length).unsqueeze(1)
        if real_keys is not None:
            visible = visible & real_keys
        blind = ~visible.any(dim=-1, keepdim=True)
        first_key = torch.arange(bucket.length, device=visible.device) == 0
        return visible | (blind & first_key)


class ToSlots(torch.autograd.Function):
    """Gather whose backward pass is a gather too: fast, and the same bits on every run (no scatter-add)."""

    @staticmethod
    def forward(ctx: Any, packed: Tensor, source: Tensor, slot: Tensor) -> Tensor:
        ctx.save_for_backward(slot)
        return packed.contiguous().index_select(0, source)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        # Padding slots are left out: attention gives padded keys no weight and padded queries are never read.
        (slot,) = ctx.saved_tensors
        return gradient.contiguous().index_select(0, slot), None, None


put_in_slots: Callable[[Tensor, Tensor, Tensor], Tensor] = ToSlots.apply
"""(packed, source, slot) -> slots."""


class FromSlots(torch.autograd.Function):
    """The inverse of `ToSlots`."""

    @staticmethod
    def forward(ctx: Any, slots: Tensor, source: Tensor, slot: Tensor, padding: Tensor | None) -> Tensor:
        ctx.save_for_backward(source, padding)
        return slots.index_select(0, slot)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        source, padding = ctx.saved_tensors
        slots = gradient.contiguous().index_select(0, source)
        if padding is not None:
            slots.masked_fill_(padding.view(-1, *[1] * (slots.ndim - 1)), 0.0)
        return slots, None, None, None


take_from_slots: Callable[[Tensor, Tensor, Tensor, Tensor | None], Tensor] = FromSlots.apply
"""(slots, source, slot, padding) -> packed."""


def _plan(offsets: Tensor) -> tuple[tuple[Bucket, ...], Tensor, Tensor]:
    """[N + 1] offsets on the CPU -> buckets, [S] packed position of each slot, [S] whether the slot is padding."""
    lengths = offsets.diff()
    order = lengths.argsort(descending=True, stable=True)
    order = order[lengths[order] > 0]
    buckets: list[Bucket] = []
    sources, paddings = [torch.empty(0, dtype=torch.int64)], [torch.empty(0, dtype=torch.bool)]
    start = 0
    for first, last in _bucket_bounds(lengths[order].tolist()):
        members = order[first:last]
        length = int(lengths[members[0]])
        place = torch.arange(length)
        real = place < lengths[members].unsqueeze(1)
        sources.append(torch.where(real, offsets[members].unsqueeze(1) + place, 0).flatten())
        paddings.append(~real.flatten())
        buckets.append(Bucket(last - first, length, start))
        start += buckets[-1].slots
    return tuple(buckets), torch.cat(sources), torch.cat(paddings)


def _bucket_bounds(descending: list[int]) -> list[tuple[int, int]]:
    """Greedy cut of lengths in descending order into runs with at most `MAX_PADDING` padding each."""
    bounds, first, tokens = [], 0, 0
    for number, length in enumerate(descending):
        slots = descending[first] * (number + 1 - first)
        padded = slots - tokens - length
        if number > first and padded > MAX_PADDING * slots and slots > SMALL_BUCKET_SLOTS:
            bounds.append((first, number))
            first, tokens = number, 0
        tokens += length
    if descending:
        bounds.append((first, len(descending)))
    return bounds


def _simplify(rule: AttentionRule, longest_reach: int) -> AttentionRule:
    """Drop the parts that forbid nothing, so that short batches of windowed models need no dense mask."""
    if isinstance(rule, Window) and rule.reach >= longest_reach:
        return bidirectional
    if isinstance(rule, Both):
        first, second = _simplify(rule.first, longest_reach), _simplify(rule.second, longest_reach)
        if first is bidirectional:
            return second
        if second is bidirectional:
            return first
    return rule


def _same_in_every_layer(rule: AttentionRule) -> bool:
    """Whether a rule is known never to look at the layer; its mask is then made once per forward pass."""
    if isinstance(rule, Both):
        return _same_in_every_layer(rule.first) and _same_in_every_layer(rule.second)
    return rule is bidirectional or rule is causal or isinstance(rule, Window | CausalWhere | VisibleKeys)
