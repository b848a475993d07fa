"""Feature models that keep a fixed number of features: of each input, or of a batch on average."""

from __future__ import annotations

from abc import ABC
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from reknit.errors import ReknitError
from reknit.interpretability.feature_model import FeatureModel, FeatureModelSpec
from reknit.ranges import PositiveInt

_MOMENTUM = 0.01


@final
class TopK(FeatureModel):
    """Each input keeps its k largest activations (Gao et al. 2024, https://arxiv.org/abs/2406.04093)."""

    def __init__(self, dim: int, width: int, k: int, seed: int = 0) -> None:
        super().__init__(dim, width, seed)
        self.k = k

    def counts(self, ranked: Tensor, centred: Tensor) -> Tensor:
        return torch.full((len(ranked),), self.k, device=ranked.device)


@final
class BatchTopK(FeatureModel):
    """A batch of B inputs keeps its k * B largest activations, some inputs more and some fewer (Bussmann et al. 2024,
    https://arxiv.org/abs/2412.06410).

    threshold: [] running mean of the smallest activation that was kept in training; in evaluation every activation
    above it is kept, so that an input's code does not depend on the batch it is in.
    """

    threshold: Tensor

    def __init__(self, dim: int, width: int, k: int, seed: int = 0) -> None:
        super().__init__(dim, width, seed)
        self.k = k
        self.register_buffer("threshold", torch.tensor(-1.0))

    def counts(self, ranked: Tensor, centred: Tensor) -> Tensor:
        # Before any training there is no threshold yet.
        if not self.training and self.threshold >= 0:
            return (ranked > self.threshold).sum(dim=1)
        largest, places = ranked.detach().flatten().topk(self.k * len(ranked))
        if self.training:
            self._follow(largest)
        return torch.bincount(places // self.width, minlength=len(ranked))

    @torch.no_grad()
    def _follow(self, largest: Tensor) -> None:
        smallest = largest[largest > 0].min() if bool((largest > 0).any()) else torch.zeros_like(self.threshold)
        momentum = _MOMENTUM if self.threshold >= 0 else 1.0
        self.threshold.lerp_(smallest, momentum)


@dataclass(frozen=True)
class _SpecWithK(FeatureModelSpec, ABC):
    k: PositiveInt = 32
    """Features that an input keeps; on average over a batch where the method chooses over batches."""

    def check(self) -> None:
        if not 1 <= self.k <= self.width:
            raise ReknitError(f"part.k is {self.k}: it must be from 1 to part.width, which is {self.width}")


@dataclass(frozen=True)
class TopKSpec(_SpecWithK):
    """Each input keeps its k largest activations."""

    def build(self, dim: int, seed: int = 0) -> TopK:
        return TopK(dim, self.width, self.k, seed)


@dataclass(frozen=True)
class BatchTopKSpec(_SpecWithK):
    """A batch keeps its k largest activations an input, some inputs more and some fewer."""

    def build(self, dim: int, seed: int = 0) -> BatchTopK:
        return BatchTopK(dim, self.width, self.k, seed)
