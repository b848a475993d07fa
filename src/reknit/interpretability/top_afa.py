"""A feature model that chooses the number of features of each input by matching norms (Lee et al. 2025)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from reknit.interpretability.feature_model import FeatureModel, FeatureModelSpec
from reknit.ranges import NonNegativeFloat


@final
class TopAFA(FeatureModel):
    """Each input keeps as many of its largest activations as bring the code's length nearest to the input's.

    Where directions are nearly orthogonal, the squared length of a sum of them is nearly the sum of their squared
    activations: `||code @ decoder||^2 - ||code||^2` is at most `epsilon * (n - 1) * ||code||^2` for n active features
    whose directions have cosines of at most epsilon. So the length of the input less the bias says how long the code
    should be, and k is no longer a setting (approximate feature activation, https://arxiv.org/abs/2503.24277).
    """

    def counts(self, ranked: Tensor, centred: Tensor) -> Tensor:
        with torch.no_grad():
            lengths = ranked.square().cumsum(dim=1)
            # As the authors do: all features together never match.
            lengths[:, -1] = 1e8
            distances = (lengths.sqrt() - centred.norm(dim=1, keepdim=True)).abs()
            counts: Tensor = distances.argmin(dim=1).add(1)
            return counts


@dataclass(frozen=True)
class TopAFASpec(FeatureModelSpec):
    """Each input keeps the number of features that its norm asks for."""

    norm_weight: NonNegativeFloat = 1 / 32
    """Weight of the loss that keeps the norm of the code near that of the input; the authors' runs have 1/128 to 1/16.
    """

    def build(self, dim: int, seed: int = 0) -> TopAFA:
        return TopAFA(dim, self.width, seed)
