"""Attention over packed sequences: padding exists only inside the attention kernel.

`AttentionLayout` sorts the sequences of a batch into buckets of like length, once per forward pass; `packed_attention`
copies queries, keys and values into the buckets, attends there, and copies the result back.
"""

from __future__ import annotations

from contextlib import nullcontext

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from reknit.data.attention_rules import AttentionRule, bidirectional
from reknit.encoders.attention.explicit import explicit_attention
from reknit.encoders.attention.layout import AttentionLayout

__all__ = ["AttentionLayout", "packed_attention", "packed_self_attention"]

# The fused bfloat16 kernel of torch 2.13 on the CPU has a backward pass that is several times slower than plain matrix
# products up to about this length (measured; float32 does not show it).
EXPLICIT_BFLOAT16_LENGTH = 384
# cuDNN's kernels are planned anew for every shape, and buckets have ever new ones: half of a step's time (measured).
SHAPELESS_KERNELS = [SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH]


def packed_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    layout: AttentionLayout,
    rule: AttentionRule = bidirectional,
    layer: int = 0,
    dropout: float = 0.0,
) -> Tensor:
    """Scaled dot-product attention (Vaswani et al. 2017) within each packed sequence.

    query, key, value: [T, heads, head_dim], all three on the packed axis of `layout`; they may come from different
        streams (cross-attention) as long as the sequence lengths are the same.
    rule: who sees whom; it is called once per bucket (and per layer where it looks at the layer) and may gather any
        per-token tensor by `context.query_index` and `context.key_index`. A rule with its own random choice per query
        row, such as RetroMAE's enhanced decoder, draws a [T, longest] table beforehand and reads
        `table[context.query_index, context.key]`, which broadcasts to the dense [b, L, L] it must answer.
    layer: number given to the rule. dropout: probability on the attention weights; give 0.0 outside training.

    Returns [T, heads, head_dim]. A query row without any visible key attends to position 0 of its sequence.
    """
    return packed_self_attention(torch.stack((query, key, value), dim=1), layout, rule, layer, dropout)


def packed_self_attention(
    query_key_value: Tensor,
    layout: AttentionLayout,
    rule: AttentionRule = bidirectional,
    layer: int = 0,
    dropout: float = 0.0,
) -> Tensor:
    """`packed_attention` for a fused projection: [T, 3, heads, head_dim] -> [T, heads, head_dim].

    The axis of three holds query, key and value; rule, layer and dropout are as in `packed_attention`.
    """
    if query_key_value.shape[0] == 0:
        return query_key_value[:, 0]
    _, _, heads, head_dim = query_key_value.shape
    slots = layout.to_slots(query_key_value)
    outputs = []
    for bucket, part in zip(layout.buckets, slots.split([bucket.slots for bucket in layout.buckets]), strict=True):
        by_head = part.view(bucket.sequences, bucket.length, 3, heads, head_dim).permute(2, 0, 3, 1, 4)
        query, key, value = by_head.unbind(0)
        attended = attend(query, key, value, layout.mask(bucket, rule, layer), dropout)
        outputs.append(attended.transpose(1, 2).reshape(bucket.slots, heads, head_dim))
    return layout.from_slots(outputs[0] if len(outputs) == 1 else torch.cat(outputs))


def attend(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, dropout: float) -> Tensor:
    """[b, heads, Lq, head_dim], twice [b, heads, L, head_dim] -> [b, heads, Lq, head_dim]; mask as in a layout."""
    with_gradient = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in (query, key, value))
    if _explicit_is_faster(key, dropout, with_gradient):
        return explicit_attention(query, key, value, mask, dropout)
    with sdpa_kernel(SHAPELESS_KERNELS) if query.device.type == "cuda" else nullcontext():
        return F.scaled_dot_product_attention(query, key, value, attn_mask=mask, dropout_p=dropout)


def _explicit_is_faster(key: Tensor, dropout: float, with_gradient: bool) -> bool:
    """torch's fused CPU kernel knows no dropout, and in bfloat16 its backward pass is slow on short sequences; without
    gradient it takes a half to a quarter of the time of plain matrix products (measured)."""
    if key.device.type != "cpu":
        return False
    slow_backward = with_gradient and key.dtype == torch.bfloat16 and key.shape[2] <= EXPLICIT_BFLOAT16_LENGTH
    return dropout > 0.0 or slow_backward
