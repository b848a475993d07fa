"""From one hidden state per token to one vector per sequence."""

from __future__ import annotations

import torch
from torch import Tensor

from reknit.encoders.base import Encoded
from reknit.encoders.pooling_modes import POOLING_MODES, TRAINED_POOLINGS, mean_of_tokens
from reknit.errors import ReknitError


def pool(encoded: Encoded, mode: str, layer: int | None = None) -> Tensor:
    """One vector per sequence, the way sentence-transformers makes it (special tokens take part).

    mode: "cls" the first token (Devlin et al. 2019), "mean" or "max" over all tokens (Reimers & Gurevych 2019), "last"
        the last token; one of `TRAINED_POOLINGS` by the encoder's own `pooler`, from all layers only. layer: which of
        `encoded.states`; the deepest one by default.

    Returns [N, dim] in the dtype of the hidden states, except that "mean" and trained poolings answer in float32 at
    least. A sequence without tokens gives zeros. Raises ReknitError for an unknown mode, a trained pooling that the
    encoder does not have, or a layer that was not asked for.
    """
    if layer is not None and layer not in encoded.states:
        raise ReknitError(f"layer {layer} was not computed (only {sorted(encoded.states)}); ask the encoder for it")
    if mode in TRAINED_POOLINGS:
        return _trained(encoded, mode, layer)
    hidden = encoded.last if layer is None else encoded.states[layer]
    lengths = encoded.cu_seqlens.diff()
    if mode == "mean":
        return mean_of_tokens(hidden, encoded.cu_seqlens)
    if mode == "max":
        pooled = torch.segment_reduce(hidden, "max", offsets=encoded.cu_seqlens, axis=0, initial=-torch.inf)
    elif mode in ("cls", "last"):
        rows = encoded.cu_seqlens[:-1] if mode == "cls" else encoded.cu_seqlens[1:] - 1
        # An empty sequence has no such row; any row will do, it is overwritten below.
        pooled = hidden[rows.clamp(0, max(hidden.shape[0] - 1, 0))]
    else:
        raise ReknitError(f"unknown pooling {mode!r}; use one of {', '.join((*POOLING_MODES, *TRAINED_POOLINGS))}")
    empty = lengths == 0
    return pooled.masked_fill(empty.unsqueeze(1), 0.0) if bool(empty.any()) else pooled


def _trained(encoded: Encoded, mode: str, layer: int | None) -> Tensor:
    pooler = encoded.pooler
    if pooler is None or pooler.kind != mode:
        raise ReknitError(
            f"the encoder has no trained pooling {mode!r}: it is made with a new encoder only (encoder.pooling={mode})"
        )
    if layer not in (None, encoded.depth):
        raise ReknitError(f"{mode} pooling is trained for all {encoded.depth} layers; {layer} alone cannot be pooled")
    pooled: Tensor = pooler(encoded.states, encoded.cu_seqlens)
    return pooled
