"""From one hidden state per token to one vector per sequence."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor

from reknit.encoders.base import Encoded
from reknit.errors import ReknitError

PoolingMode = Literal["cls", "mean", "max", "last"]
POOLING_MODES: tuple[str, ...] = get_args(PoolingMode)


def pool(encoded: Encoded, mode: str, layer: int | None = None) -> Tensor:
    """One vector per sequence, the way sentence-transformers makes it (special tokens take part).

    mode: "cls" the first token (Devlin et al. 2019), "mean" or "max" over all tokens (Reimers & Gurevych 2019), "last"
        the last token. layer: which of `encoded.hidden`; the deepest one by default.

    Returns [N, dim] in the dtype of the hidden states, except that "mean" sums and answers in float32 at least. A
    sequence without tokens gives zeros. Raises ReknitError for an unknown mode or a layer that was not asked for.
    """
    if layer is not None and layer not in encoded.hidden:
        raise ReknitError(f"layer {layer} was not computed (only {sorted(encoded.hidden)}); ask the encoder for it")
    hidden = encoded.last if layer is None else encoded.hidden[layer]
    lengths = encoded.cu_seqlens.diff()
    if mode == "mean":
        return _mean(hidden, encoded.cu_seqlens)
    if mode == "max":
        pooled = torch.segment_reduce(hidden, "max", offsets=encoded.cu_seqlens, axis=0, initial=-torch.inf)
    elif mode in ("cls", "last"):
        rows = encoded.cu_seqlens[:-1] if mode == "cls" else encoded.cu_seqlens[1:] - 1
        # An empty sequence has no such row; any row will do, it is overwritten below.
        pooled = hidden[rows.clamp(0, max(hidden.shape[0] - 1, 0))]
    else:
        raise ReknitError(f"unknown pooling {mode!r}; use one of {', '.join(POOLING_MODES)}")
    empty = lengths == 0
    return pooled.masked_fill(empty.unsqueeze(1), 0.0) if bool(empty.any()) else pooled


def _mean(hidden: Tensor, cu_seqlens: Tensor) -> Tensor:
    # Not `index_add`: on several threads or a GPU its order of summation is not fixed. Not a cumulative sum either: its
    # rounding error would grow with the batch, so a text's vector would depend on its neighbours.
    summed = torch.segment_reduce(hidden.float(), "sum", offsets=cu_seqlens, axis=0, initial=0.0)
    return summed / cu_seqlens.diff().clamp(min=1).unsqueeze(1)
