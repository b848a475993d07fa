"""A phase's encoder and objective as one process trains them, and as one module that can be wrapped."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from reknit.collectives import shared_step
from reknit.data.batch import Batch
from reknit.encoders.base import Encoder
from reknit.objectives.base import Objective, StepOutput
from reknit.recipe import OptimiserSpec
from reknit.training.optimiser import build_optimiser


class Trained:
    """Encoder and objective as one process trains them: as they are.

    encoder, objective: what the optimiser moves and a step runs; under FSDP slices of the modules that were given.
    """

    def __init__(self, encoder: Encoder, objective: Objective) -> None:
        self.encoder, self.objective = encoder, objective

    def step(self, batch: Batch, rng: torch.Generator) -> StepOutput:
        output: StepOutput = self.objective(self.encoder, batch, rng)
        return output

    def optimiser(self, spec: OptimiserSpec) -> torch.optim.Optimizer:
        return build_optimiser([self.encoder, self.objective], spec)

    def collect(self) -> None:
        """Bring the trained weights into the modules that were given. Called by all processes at once."""

    def spread(self) -> None:
        """Train on from the weights of the modules that were given."""


class Pair(nn.Module):
    """The one module that DDP and FSDP wrap. It answers plain containers, in which they find the tensors."""

    def __init__(self, encoder: Encoder, objective: Objective) -> None:
        super().__init__()
        self.encoder, self.objective = encoder, objective

    def forward(self, batch: Batch, rng: torch.Generator) -> tuple[dict[str, Tensor], dict[str, float]]:
        with shared_step():
            output = self.objective(self.encoder, batch, rng)
        return output.losses, output.metrics
