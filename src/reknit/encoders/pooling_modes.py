"""The names of the poolings, and the mean over tokens that several of them take."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor

PoolingMode = Literal["cls", "mean", "max", "last"]
POOLING_MODES: tuple[str, ...] = get_args(PoolingMode)
TrainedPoolingMode = Literal["latent-attention", "layer-attention", "token-attention"]
"""What `encoders/trained_pooling.py` computes, with weights that an encoder carries."""
TRAINED_POOLINGS: tuple[str, ...] = get_args(TrainedPoolingMode)


def mean_of_tokens(hidden: Tensor, cu_seqlens: Tensor) -> Tensor:
    """[K, dim] -> [N, dim] float32; zeros for a sequence without tokens."""
    # Not `index_add`: on several threads or a GPU its order of summation is not fixed. Not a cumulative sum either: its
    # rounding error would grow with the batch, so a text's vector would depend on its neighbours.
    summed = torch.segment_reduce(hidden.float(), "sum", offsets=cu_seqlens, axis=0, initial=0.0)
    return summed / cu_seqlens.diff().clamp(min=1).unsqueeze(1)
