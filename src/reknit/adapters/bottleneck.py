"""Adapters that go through a narrow layer: after each sublayer, or beside the feed-forward network.

- sequential: Houlsby et al. 2019, Parameter-Efficient Transfer Learning for NLP, https://arxiv.org/abs/1902.00751
- parallel, with a scale: He et al. 2021, Towards a Unified View of Parameter-Efficient Transfer Learning,
  https://arxiv.org/abs/2110.04366
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from reknit.adapters.base import Adapter, AdapterSpec, Handover, members
from reknit.adapters.places import linears
from reknit.encoders.native.encoder import NativeEncoder
from reknit.ranges import PositiveFloat, PositiveInt

NOT_LINEAR = "its bottleneck is not linear, and no weight of the encoder computes such a thing"


class Bottleneck(nn.Module, ABC):
    """[T, dim] -> [T, dim] through `width` units, zero at first. scale: what the result is multiplied by."""

    def __init__(self, dim: int, width: int, scale: float) -> None:
        super().__init__()
        self.narrow, self.widen = nn.Linear(dim, width), nn.Linear(width, dim)
        self.scale = scale
        nn.init.kaiming_uniform_(self.narrow.weight, a=math.sqrt(5))
        for zero in (self.narrow.bias, self.widen.weight, self.widen.bias):
            nn.init.zeros_(zero)

    @abstractmethod
    def hook(self, module: nn.Module, arguments: tuple[Tensor], output: Tensor) -> Tensor:
        """A forward hook of a sublayer's last linear layer."""


@dataclass(frozen=True)
class BottleneckSpec(AdapterSpec):
    """Adapters of Houlsby et al.: a bottleneck after the attention and after the feed-forward network of each block."""

    kind: ClassVar[str] = "bottleneck"
    learning_rate: ClassVar[float] = 5e-4

    width: PositiveInt = 16
    """Units of each bottleneck."""

    def build(self, encoder: NativeEncoder) -> SequentialAdapter:
        return SequentialAdapter(self, encoder)


class SequentialBottleneck(Bottleneck):
    """What a sublayer gives, and a bottleneck of it (GELU) added."""

    def hook(self, module: nn.Module, arguments: tuple[Tensor], output: Tensor) -> Tensor:
        changed: Tensor = output + self.scale * self.widen(F.gelu(self.narrow(output)))
        return changed


class SequentialAdapter(Adapter):
    """See `BottleneckSpec`."""

    cannot_merge = NOT_LINEAR

    def __init__(self, spec: BottleneckSpec, encoder: NativeEncoder) -> None:
        super().__init__()
        sublayers = (linears(encoder, "attention_output"), linears(encoder, "down"))
        self.attention, self.feed_forward = (
            nn.ModuleList(SequentialBottleneck(linear.out_features, spec.width, 1.0) for linear in last)
            for last in sublayers
        )

    def attach(self, encoder: NativeEncoder) -> list[RemovableHandle]:
        last = [*linears(encoder, "attention_output"), *linears(encoder, "down")]
        bottlenecks = members([*self.attention, *self.feed_forward], SequentialBottleneck)
        return [linear.register_forward_hook(one.hook) for linear, one in zip(last, bottlenecks, strict=True)]


@dataclass(frozen=True)
class ParallelSpec(AdapterSpec):
    """A bottleneck beside the feed-forward network of each block, scaled."""

    kind: ClassVar[str] = "parallel"
    learning_rate: ClassVar[float] = 3e-4

    width: PositiveInt = 32
    """Units of each bottleneck."""
    scale: PositiveFloat = 4.0
    """What it adds is multiplied by this."""

    def build(self, encoder: NativeEncoder) -> ParallelAdapter:
        return ParallelAdapter(self, encoder)


class ParallelBottleneck(Bottleneck):
    """A bottleneck (ReLU) of what goes into the feed-forward network, added to what comes out of it."""

    def __init__(self, dim: int, width: int, scale: float) -> None:
        super().__init__(dim, width, scale)
        self._input = Handover()

    def leave_input(self, module: nn.Module, arguments: tuple[Tensor], output: Tensor) -> None:
        """A forward hook of the feed-forward network's first linear layer."""
        self._input.leave(arguments[0])

    def hook(self, module: nn.Module, arguments: tuple[Tensor], output: Tensor) -> Tensor:
        given = self._input.take()
        assert given is not None, "the first linear layer runs before the last"
        changed: Tensor = output + self.scale * self.widen(F.relu(self.narrow(given)))
        return changed


class ParallelAdapter(Adapter):
    """See `ParallelSpec`."""

    cannot_merge = NOT_LINEAR

    def __init__(self, spec: ParallelSpec, encoder: NativeEncoder) -> None:
        super().__init__()
        self.beside = nn.ModuleList(
            ParallelBottleneck(linear.in_features, spec.width, spec.scale) for linear in linears(encoder, "up")
        )

    def attach(self, encoder: NativeEncoder) -> list[RemovableHandle]:
        handles = []
        beside = members(self.beside, ParallelBottleneck)
        for up, down, one in zip(linears(encoder, "up"), linears(encoder, "down"), beside, strict=True):
            handles += [up.register_forward_hook(one.leave_input), down.register_forward_hook(one.hook)]
        return handles
