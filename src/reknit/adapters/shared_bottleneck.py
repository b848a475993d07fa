"""ProPETL: one bottleneck for all layers, of which each layer keeps a part of its own.

Zeng, Zhang and Lu 2023, One Network, Many Masks: Towards More Parameter-Efficient Transfer Learning,
https://arxiv.org/abs/2305.17682. The survey of Xu et al. counts it among the unified methods.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from reknit.adapters.base import Adapter, AdapterSpec
from reknit.adapters.bottleneck import NOT_LINEAR
from reknit.adapters.places import linears
from reknit.encoders.native.encoder import NativeEncoder
from reknit.ranges import PositiveFraction, PositiveInt


@dataclass(frozen=True)
class SharedBottleneckSpec(AdapterSpec):
    """ProPETL: one bottleneck for all blocks, of which each uses a learned part."""

    kind: ClassVar[str] = "propetl"
    learning_rate: ClassVar[float] = 5e-4

    width: PositiveInt = 32
    """Units of the bottleneck."""
    kept: PositiveFraction = 0.5
    """Fraction of the bottleneck's weights that each block uses."""

    def build(self, encoder: NativeEncoder) -> SharedBottleneckAdapter:
        return SharedBottleneckAdapter(self, encoder)


class KeepHighest(torch.autograd.Function):
    """Scores -> 1.0 at those of largest size, 0.0 elsewhere; its gradient is handed on as it is (straight-through)."""

    @staticmethod
    def forward(ctx: Any, scores: Tensor, kept: int) -> Tensor:
        mask = torch.zeros_like(scores).flatten()
        mask[scores.abs().flatten().topk(kept).indices] = 1.0
        return mask.view_as(scores)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return gradient, None


_keep_highest: Callable[[Tensor, int], Tensor] = KeepHighest.apply


class SharedBottleneckAdapter(Adapter):
    """See `SharedBottleneckSpec`. The bottleneck (GELU) follows the feed-forward network of each block.

    Trained are its weights and, for each layer, a score for each weight; a file holds a bit for each score.
    """

    cannot_merge = NOT_LINEAR

    def __init__(self, spec: SharedBottleneckSpec, encoder: NativeEncoder) -> None:
        super().__init__()
        self.narrow, self.widen = nn.Linear(encoder.dim, spec.width), nn.Linear(spec.width, encoder.dim)
        nn.init.kaiming_uniform_(self.narrow.weight, a=math.sqrt(5))
        for zero in (self.narrow.bias, self.widen.weight, self.widen.bias):
            nn.init.zeros_(zero)
        self.kept = math.ceil(spec.kept * self.narrow.weight.numel())
        layers = len(linears(encoder, "down"))
        self.narrow_scores = nn.Parameter(torch.empty(layers, *self.narrow.weight.shape))
        self.widen_scores = nn.Parameter(torch.empty(layers, *self.widen.weight.shape))
        for scores in (self.narrow_scores, self.widen_scores):
            for layer in scores:
                nn.init.kaiming_uniform_(layer.detach(), a=math.sqrt(5))

    def attach(self, encoder: NativeEncoder) -> list[RemovableHandle]:
        places = enumerate(linears(encoder, "down"))
        return [linear.register_forward_hook(partial(self._after, layer)) for layer, linear in places]

    def tensors(self) -> dict[str, Tensor]:
        found = super().tensors()
        for name in ("narrow_scores", "widen_scores"):
            bits = np.packbits(torch.stack([self._mask(layer) for layer in found.pop(name)]).cpu().numpy() > 0)
            found[name.replace("scores", "masks")] = torch.from_numpy(bits)
        return found

    def load_tensors(self, tensors: dict[str, Tensor]) -> None:
        loaded = dict(tensors)
        for name in ("narrow_scores", "widen_scores"):
            shape = getattr(self, name).shape
            bits = np.unpackbits(loaded.pop(name.replace("scores", "masks")).cpu().numpy(), count=shape.numel())
            # Ones are the highest scores, so the masks come out the same.
            loaded[name] = torch.from_numpy(bits.astype(np.float32)).view(shape)
        super().load_tensors(loaded)

    def _mask(self, scores: Tensor) -> Tensor:
        return _keep_highest(scores, self.kept)

    def _after(self, layer: int, module: nn.Module, arguments: tuple[Tensor], output: Tensor) -> Tensor:
        narrow = self.narrow.weight * self._mask(self.narrow_scores[layer])
        widen = self.widen.weight * self._mask(self.widen_scores[layer])
        inner = F.gelu(F.linear(output, narrow, self.narrow.bias))
        return output + F.linear(inner, widen, self.widen.bias)
