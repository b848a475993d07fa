"""Attention for some rows of packed sequences: the other rows' queries, scores and masks are never made."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from reknit.data.attention_rules import AttentionRule, bidirectional
from reknit.encoders.attention.layout import AttentionLayout, Bucket, put_in_slots, take_from_slots
from reknit.encoders.attention.packed import attend


def packed_row_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    rows: Tensor,
    layout: AttentionLayout,
    rule: AttentionRule = bidirectional,
    layer: int = 0,
    dropout: float = 0.0,
) -> Tensor:
    """`packed_attention(...)[rows]`, where the query of each row is given and no others are.

    query: [R, heads, head_dim]. key, value: [T, heads, head_dim] on the packed axis of `layout`. rows: [R] int64, the
    queries' flat positions on that axis, each at most once. rule, layer and dropout are as in `packed_attention`.

    Returns [R, heads, head_dim]. Within a bucket, sequences are padded to the largest number of rows that one has.
    """
    if query.shape[0] == 0:
        # Tied to keys and values all the same: of several processes, one without rows must send the same gradients.
        return query + key[rows] + value[rows]
    _, heads, head_dim = query.shape
    key_value = layout.to_slots(torch.stack((key, value), dim=1))
    asked = _asked_rows(rows, layout)
    source, padding = torch.cat([one.source for one in asked]), torch.cat([one.padding for one in asked])
    slot = torch.empty_like(rows)
    slot[source[~padding]] = (~padding).nonzero().squeeze(1)
    queries = put_in_slots(query, source, slot).split([one.source.numel() for one in asked])

    outputs = []
    for one, part in zip(asked, queries, strict=True):
        bucket, width = one.bucket, one.places.shape[1]
        slots = key_value[bucket.start : bucket.start + bucket.slots]
        keys, values = slots.view(bucket.sequences, bucket.length, 2, heads, head_dim).permute(2, 0, 3, 1, 4).unbind(0)
        attended = attend(
            part.view(bucket.sequences, width, heads, head_dim).transpose(1, 2),
            keys,
            values,
            layout.mask_of_rows(bucket, rule, layer, one.places),
            dropout,
        )
        outputs.append(attended.transpose(1, 2).reshape(-1, heads, head_dim))
    return take_from_slots(torch.cat(outputs), source, slot, padding)


@dataclass(frozen=True)
class _Asked:
    """The rows asked for in one bucket, `width` of each of its sequences.

    source: [sequences * width] int64 number of the row shown in each slot (padding repeats row 0). padding: bool, same
    shape. places: [sequences, width] int64 place of each row in its sequence (padding: 0).
    """

    bucket: Bucket
    source: Tensor
    padding: Tensor
    places: Tensor


def _asked_rows(rows: Tensor, layout: AttentionLayout) -> list[_Asked]:
    """One for each bucket with rows in it."""
    slots = rows if layout.slot is None else layout.slot[rows]
    found = []
    for bucket in layout.buckets:
        members = ((slots >= bucket.start) & (slots < bucket.start + bucket.slots)).nonzero().squeeze(1)
        if members.numel() == 0:
            continue
        members = members[slots[members].argsort()]
        inside = slots[members] - bucket.start
        sequence = inside // bucket.length
        counts = torch.bincount(sequence, minlength=bucket.sequences)
        width = int(counts.max())
        rank = torch.arange(members.numel(), device=rows.device) - (counts.cumsum(0) - counts)[sequence]
        target = sequence * width + rank
        source, places = rows.new_zeros(2, bucket.sequences * width)
        padding = torch.ones(bucket.sequences * width, dtype=torch.bool, device=rows.device)
        source[target], places[target], padding[target] = members, inside % bucket.length, False
        found.append(_Asked(bucket, source, padding, places.view(bucket.sequences, width)))
    return found
