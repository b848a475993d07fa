"""Attention by plain matrix products on the processor, a few sequences at a time: their scores stay in the cache.

torch's fused CPU kernel knows no dropout, and in bfloat16 its backward pass is slow on short sequences.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from reknit.encoders.attention.dropout import dropped_levels, kept, random_bytes, survivors_scale

# Scores (sequences x heads x queries x keys) made at a time: so many stay in the cache.
CACHED_SCORES = 2**20


def explicit_attention(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, dropout: float) -> Tensor:
    """[b, heads, Lq, head_dim], twice [b, heads, L, head_dim] -> [b, heads, Lq, head_dim].

    mask: broadcasts to [b, 1, Lq, L] bool, True where a query sees a key, or None; each query must see one at least.
    dropout: probability on the weights, as in `reknit.encoders.attention.dropout`. The backward pass keeps the weights,
    and a byte for each that may be dropped; it gives no second derivatives.
    """
    return _attention(query, key, value, mask, dropout)


class _ExplicitAttention(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, dropout: float) -> Tensor:
        shape, heads = query.shape, query.shape[1]
        query, key, value = (tensor.flatten(0, 1) for tensor in (query, key, value))
        levels = dropped_levels(dropout)
        scale, rescale = query.shape[-1] ** -0.5, survivors_scale(levels)
        drawn = random_bytes((*query.shape[:2], key.shape[1])) if levels else None
        kept_weights = query.new_empty(*query.shape[:2], key.shape[1]) if any(ctx.needs_input_grad) else None
        attended = torch.empty_like(query)
        added = None if mask is None else _added_to_scores(mask, query.dtype)
        with torch.autocast(query.device.type, enabled=False):
            for part in _parts(query, key, heads):
                hidden = None if added is None else _for_heads(added, heads, part)
                scores = _product(query[part], key[part].transpose(1, 2), scale, added=hidden)
                # torch's bfloat16 softmax takes twice as long as float32's where the length is no multiple of 32.
                weights = scores.softmax(dim=-1, dtype=torch.float32)
                weights = weights.to(query.dtype) if kept_weights is None else kept_weights[part].copy_(weights)
                if drawn is not None:
                    weights = kept(drawn[part], levels, weights.dtype).mul_(weights)
                _product(weights, value[part], rescale, out=attended[part])
        ctx.save_for_backward(query, key, value, kept_weights, drawn)
        ctx.heads, ctx.levels = heads, levels
        return attended.view(shape)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        query, key, value, kept_weights, drawn = ctx.saved_tensors
        scale, rescale = query.shape[-1] ** -0.5, survivors_scale(ctx.levels)
        gradient = gradients[0].flatten(0, 1)
        slopes = [torch.empty_like(tensor) for tensor in (query, key, value)]
        for part in _parts(query, key, ctx.heads):
            query_slope, key_slope, value_slope = (slope[part] for slope in slopes)
            weights = used = kept_weights[part]
            weight_slopes = _product(gradient[part], value[part].transpose(1, 2), rescale)
            if drawn is not None:
                keep = kept(drawn[part], ctx.levels, weights.dtype)
                weight_slopes.mul_(keep)
                used = keep.mul_(weights)
            _product(used.transpose(1, 2), gradient[part], rescale, out=value_slope)
            # Weights hidden by the mask are exactly 0, and so are their scores' slopes.
            score_slopes = torch.ops.aten._softmax_backward_data(weight_slopes, weights, -1, weights.dtype)
            _product(score_slopes, key[part], scale, out=query_slope)
            _product(score_slopes.transpose(1, 2), query[part], scale, out=key_slope)
        return *(slope.unflatten(0, (-1, ctx.heads)) for slope in slopes), None, None


_attention: Callable[[Tensor, Tensor, Tensor, Tensor | None, float], Tensor] = _ExplicitAttention.apply


def _product(
    left: Tensor, right: Tensor, scale: float, out: Tensor | None = None, added: Tensor | None = None
) -> Tensor:
    """scale * left @ right, batched, plus what broadcasts to it."""
    shape = (left.shape[0], left.shape[1], right.shape[2])
    if added is not None:
        return torch.baddbmm(added.expand(shape), left, right, alpha=scale, out=out)
    start = left.new_empty(()).expand(shape) if out is None else out  # not read, as beta is 0
    return torch.baddbmm(start, left, right, beta=0, alpha=scale, out=out)


def _added_to_scores(mask: Tensor, dtype: torch.dtype) -> Tensor:
    """0 where a query sees a key, else so low that the score added to it is lost in rounding.

    Inside the product this costs a tenth of filling the finished scores by a mask (measured).
    """
    return torch.zeros(mask.shape, dtype=dtype, device=mask.device).masked_fill_(~mask, torch.finfo(dtype).min)


def _for_heads(added: Tensor, heads: int, part: slice) -> Tensor:
    """[b or 1, 1, Lq or 1, L] -> what broadcasts to [rows of the part, Lq, L], where each sequence has `heads` rows."""
    if len(added) == 1:  # the same for all sequences
        return added[0]
    return added[part.start // heads : part.stop // heads].expand(-1, heads, -1, -1).flatten(0, 1)


def _parts(query: Tensor, key: Tensor, heads: int) -> Iterator[slice]:
    """Slices of the first axis [b * heads, ...], whole sequences each."""
    at_once = heads * max(1, CACHED_SCORES // (heads * query.shape[1] * key.shape[1]))
    for first in range(0, len(query), at_once):
        yield slice(first, min(first + at_once, len(query)))
