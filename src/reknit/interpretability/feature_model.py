"""Feature models: a token's state as the sum of a few of many directions, each of which is a feature."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import ClassVar, NamedTuple, final

import torch
from torch import Tensor, nn

from reknit.part import Part
from reknit.ranges import NonNegativeFloat, PositiveInt
from reknit.recipe import OptimiserSpec

_LEAST_SPREAD = 1e-5


class Standardised(NamedTuple):
    """States as a feature model reads them.

    inputs: [B, dim], each row with mean 0 and standard deviation 1, so that its length is about sqrt(dim). means,
    spreads: [B, 1] what was taken out of each row: a state is `inputs * spreads + means`.
    """

    inputs: Tensor
    means: Tensor
    spreads: Tensor


def standardise(states: Tensor) -> Standardised:
    """[B, dim] states -> their rows with mean 0 and standard deviation 1."""
    means = states.mean(dim=-1, keepdim=True)
    centred = states - means
    spreads = centred.std(dim=-1, keepdim=True) + _LEAST_SPREAD
    return Standardised(centred / spreads, means, spreads)


class FeatureModel(nn.Module, ABC):
    """A sparse autoencoder over the token states of one layer.

    A state is standardised, `activations = relu((inputs - bias) @ encoder)` says how far each feature is present, the
    largest activations are kept as the code, and `code @ decoder + bias` is the reconstruction. Concrete classes say
    how many are kept. encoder: [dim, width]. decoder: [width, dim], whose rows are the directions, of length 1. bias:
    [dim].

    Standardisation, the tied initial weights and the decoder's unit rows are those of the public code of Bussmann et
    al. (https://github.com/bartbussmann/BatchTopK) and Lee et al. (https://github.com/SewoongLee/top-afa-sae).
    """

    def __init__(self, dim: int, width: int, seed: int = 0) -> None:
        super().__init__()
        drawn = torch.empty(dim, width)
        nn.init.kaiming_uniform_(drawn, generator=torch.Generator().manual_seed(seed))
        self.encoder = nn.Parameter(drawn)
        self.decoder = nn.Parameter(drawn.T.contiguous().clone())
        self.bias = nn.Parameter(torch.zeros(dim))
        self.normalise_decoder()

    @property
    def dim(self) -> int:
        return self.decoder.shape[1]

    @property
    def width(self) -> int:
        """Number of features."""
        return self.decoder.shape[0]

    @abstractmethod
    def counts(self, ranked: Tensor, centred: Tensor) -> Tensor:
        """How many features each input may use.

        ranked: [B, width] activations, largest first in each row. centred: [B, dim] inputs less the bias. Returns [B]
        int64 from 0 to width.
        """

    @final
    def activations(self, inputs: Tensor) -> Tensor:
        """[B, dim] standardised inputs -> [B, width], 0 or more, before any is left out."""
        return torch.relu((inputs - self.bias) @ self.encoder)

    @final
    def select(self, activations: Tensor, inputs: Tensor) -> Tensor:
        """[B, width] activations -> the code: the same with all but the largest ones of each row set to 0."""
        ranked, order = activations.sort(dim=1, descending=True, stable=True)
        counts = self.counts(ranked, inputs - self.bias)
        kept = ranked * (torch.arange(self.width, device=ranked.device) < counts[:, None])
        return torch.zeros_like(activations).scatter(1, order, kept)

    def encode(self, states: Tensor) -> Tensor:
        """[B, dim] states as the encoder gives them -> [B, width] sparse code."""
        inputs = standardise(states).inputs
        return self.select(self.activations(inputs), inputs)

    def decode(self, code: Tensor) -> Tensor:
        """[B, width] code -> [B, dim] reconstructed inputs (standardised states)."""
        return code @ self.decoder + self.bias

    def reconstruct(self, states: Tensor) -> Tensor:
        """[B, dim] states -> [B, dim] what is left of them when only their features are kept."""
        _, means, spreads = standardise(states)
        return self.decode(self.encode(states)) * spreads + means

    @torch.no_grad()
    def normalise_decoder(self) -> None:
        """Give every direction length 1."""
        self.decoder.div_(self.decoder.norm(dim=1, keepdim=True).clamp_min(1e-12))

    @torch.no_grad()
    def project_gradient(self) -> None:
        """Take out of the decoder's gradient what would change a direction's length only."""
        gradient = self.decoder.grad
        if gradient is not None:
            gradient.sub_((gradient * self.decoder).sum(dim=1, keepdim=True) * self.decoder)


def _adam() -> OptimiserSpec:
    """The published settings but for the learning rate (3e-4, with 4,096 states a step): here are fewer steps."""
    return OptimiserSpec(
        learning_rate=2e-3,
        weight_decay=0.0,
        adam_beta2=0.99,
        adam_epsilon=1e-8,
        warmup_ratio=0.0,
        lr_scheduler_type="constant",
        max_grad_norm=100_000.0,
    )


@dataclass(frozen=True)
class FeatureModelSpec(Part, ABC):
    """Settings that all feature models share; those of training are published with each method."""

    role: ClassVar[str] = "feature model"
    verb: ClassVar[str] = "explain"

    width: PositiveInt = 1024
    """Number of features."""
    states_per_batch: PositiveInt = 512
    """Token states of a training step."""
    dead_after: PositiveInt = 5
    """Steps in a row without firing after which a feature counts as dead."""
    auxiliary_features: PositiveInt = 512
    """Dead features of an input, at most, that are trained to predict the error of the others."""
    auxiliary_weight: NonNegativeFloat = 1 / 32
    """Weight of the loss of that prediction; 0 for none."""
    norm_weight: NonNegativeFloat = 0.0
    """Weight of the loss that keeps the norm of the code near that of the input; 0 for none."""
    optimiser: OptimiserSpec = field(default_factory=_adam)
    """Optimiser and learning rate of the training."""

    def check(self) -> None:
        """Raise ReknitError for settings that do not go together."""

    @abstractmethod
    def build(self, dim: int, seed: int = 0) -> FeatureModel:
        """A new model for states of `dim` numbers, its directions drawn at random from the seed."""
