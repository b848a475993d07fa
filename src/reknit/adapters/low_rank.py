"""LoRA: an update of low rank beside a frozen linear layer (Hu et al. 2021, https://arxiv.org/abs/2106.09685)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from reknit.adapters.base import Adapter, AdapterSpec, members
from reknit.adapters.places import linears, query_key_values
from reknit.encoders.native.encoder import NativeEncoder
from reknit.errors import ReknitError
from reknit.ranges import PositiveFloat, PositiveInt

Target = Literal["query", "key", "value", "attention_output", "up", "down"]
_FUSED = ("query", "key", "value")


@dataclass(frozen=True)
class LoRASpec(AdapterSpec):
    """LoRA: an update of low rank beside projections of each block."""

    kind: ClassVar[str] = "lora"

    rank: PositiveInt = 8
    """Rank of each update."""
    alpha: PositiveFloat = 16.0
    """The update is multiplied by alpha / rank."""
    targets: tuple[Target, ...] = ("query", "value")
    """Projections that get an update: of the attention, or of the feed-forward network (up, down)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.targets or len(set(self.targets)) < len(self.targets):
            raise ReknitError(f"lora: targets are {self.targets}: name one or more, each once")

    def build(self, encoder: NativeEncoder) -> LowRankAdapter:
        return LowRankAdapter(self, encoder)


class LowRankUpdate(nn.Module):
    """x -> scale * x A' B', zero at first. start: the first output of the linear layer that it is added to."""

    def __init__(self, inputs: int, outputs: int, rank: int, scale: float, start: int) -> None:
        super().__init__()
        self.first = nn.Parameter(torch.empty(rank, inputs))
        self.second = nn.Parameter(torch.zeros(outputs, rank))
        self.scale, self.start = scale, start
        nn.init.kaiming_uniform_(self.first, a=math.sqrt(5))

    def hook(self, module: nn.Module, arguments: tuple[Tensor], output: Tensor) -> Tensor:
        """A forward hook of the linear layer."""
        update = self.scale * F.linear(F.linear(arguments[0], self.first), self.second)
        after = output.shape[-1] - self.start - update.shape[-1]
        return output + F.pad(update, (self.start, after))

    def add_to(self, linear: nn.Linear) -> None:
        """Add the update to the layer's weight."""
        rows = slice(self.start, self.start + self.second.shape[0])
        linear.weight[rows].add_(self.scale * self.second @ self.first)


class LowRankAdapter(Adapter):
    """An update for each target of each block; see `LoRASpec`."""

    def __init__(self, spec: LoRASpec, encoder: NativeEncoder) -> None:
        super().__init__()
        self.targets = spec.targets
        self.updates = nn.ModuleDict()
        for target in spec.targets:
            parts = 3 if target in _FUSED else 1
            self.updates[target] = nn.ModuleList(
                LowRankUpdate(
                    linear.in_features,
                    linear.out_features // parts,
                    spec.rank,
                    spec.alpha / spec.rank,
                    _FUSED.index(target) * (linear.out_features // 3) if parts == 3 else 0,
                )
                for linear in _linears(encoder, target)
            )

    def attach(self, encoder: NativeEncoder) -> list[RemovableHandle]:
        return [linear.register_forward_hook(update.hook) for linear, update in self._pairs(encoder)]

    def merge_into(self, encoder: NativeEncoder) -> None:
        with torch.no_grad():
            for linear, update in self._pairs(encoder):
                update.add_to(linear)

    def _pairs(self, encoder: NativeEncoder) -> list[tuple[nn.Linear, LowRankUpdate]]:
        return [
            pair
            for target, updates in zip(self.targets, self.updates.values(), strict=True)
            for pair in zip(_linears(encoder, target), members(updates.children(), LowRankUpdate), strict=True)
        ]


def _linears(encoder: NativeEncoder, target: Target) -> list[nn.Linear]:
    return query_key_values(encoder) if target in _FUSED else linears(encoder, target)
