"""(IA)3: keys, values and the inner units of the feed-forward network are multiplied by learned numbers.

Liu et al. 2022, Few-Shot Parameter-Efficient Fine-Tuning is Better and Cheaper than In-Context Learning,
https://arxiv.org/abs/2205.05638
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from reknit.adapters.base import Adapter, AdapterSpec, members
from reknit.adapters.places import linears, query_key_values
from reknit.encoders.native.encoder import NativeEncoder


@dataclass(frozen=True)
class ScaleSpec(AdapterSpec):
    """(IA)3: a factor for each dimension of keys and values and each inner unit of the feed-forward network."""

    kind: ClassVar[str] = "ia3"
    learning_rate: ClassVar[float] = 3e-3

    def build(self, encoder: NativeEncoder) -> ScaleAdapter:
        return ScaleAdapter(encoder)


class LayerScales(nn.Module):
    """key_value: [2 * dim]. inner: [intermediate]. All 1 at first."""

    def __init__(self, dim: int, inner: int) -> None:
        super().__init__()
        self.key_value = nn.Parameter(torch.ones(2 * dim))
        self.inner = nn.Parameter(torch.ones(inner))

    def of_outputs(self) -> Tensor:
        """[3 * dim], what query, key and value are multiplied by."""
        return torch.cat((self.key_value.new_ones(self.key_value.numel() // 2), self.key_value))

    def scale_key_value(self, module: nn.Module, arguments: tuple[Tensor], output: Tensor) -> Tensor:
        """A forward hook of the projection to query, key and value."""
        return output * self.of_outputs()

    def scale_inner(self, module: nn.Module, arguments: tuple[Tensor]) -> tuple[Tensor]:
        """A forward pre-hook of the feed-forward network's last linear layer."""
        return (arguments[0] * self.inner,)


class ScaleAdapter(Adapter):
    """See `ScaleSpec`."""

    def __init__(self, encoder: NativeEncoder) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            LayerScales(projection.in_features, down.in_features) for projection, down in _places(encoder)
        )

    def attach(self, encoder: NativeEncoder) -> list[RemovableHandle]:
        handles = []
        for (projection, down), layer in zip(_places(encoder), members(self.layers, LayerScales), strict=True):
            handles += [
                projection.register_forward_hook(layer.scale_key_value),
                down.register_forward_pre_hook(layer.scale_inner),
            ]
        return handles

    def merge_into(self, encoder: NativeEncoder) -> None:
        with torch.no_grad():
            for (projection, down), layer in zip(_places(encoder), members(self.layers, LayerScales), strict=True):
                projection.weight.mul_(layer.of_outputs().unsqueeze(1))
                if projection.bias is not None:
                    projection.bias.mul_(layer.of_outputs())
                down.weight.mul_(layer.inner)


def _places(encoder: NativeEncoder) -> list[tuple[nn.Linear, nn.Linear]]:
    return list(zip(query_key_values(encoder), linears(encoder, "down"), strict=True))
