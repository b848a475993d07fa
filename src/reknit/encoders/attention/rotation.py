"""Rotary position embedding."""

from __future__ import annotations

import torch
from torch import Tensor


class Rotation:
    """Rotary position embedding (Su et al. 2021, the half-split form of GPT-NeoX) for one set of places."""

    def __init__(self, positions: Tensor, head_dim: int, theta: float) -> None:
        exponents = torch.arange(0, head_dim, 2, dtype=torch.float32, device=positions.device) / head_dim
        angles = positions.float().unsqueeze(1) * (1.0 / theta**exponents)
        # [K, 1, 1, head_dim]: alike for query and key and for every head
        self._cosine = torch.cat((angles.cos(), angles.cos()), dim=1)[:, None, None]
        self._signed_sine = torch.cat((-angles.sin(), angles.sin()), dim=1)[:, None, None]

    def apply_to(self, query_key_value: Tensor) -> Tensor:
        """Rotate query and key of [K, 3, heads, head_dim], in float32, and leave the value."""
        query_key, value = query_key_value[:, :2].float(), query_key_value[:, 2:]
        swapped = query_key.roll(query_key.shape[-1] // 2, dims=-1)
        rotated = query_key * self._cosine + swapped * self._signed_sine
        return torch.cat((rotated.to(value.dtype), value), dim=1)
