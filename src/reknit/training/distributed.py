"""How a phase's encoder and objective are trained: by one process, by copies (DDP), or in slices (sharded.py).

The trainer keeps one loop. It steps what is made here, and reads and writes checkpoints through it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from reknit.data.batch import Batch
from reknit.encoders.base import Encoder
from reknit.objectives.base import Objective, StepOutput
from reknit.training.checkpoint import CheckpointFolder
from reknit.training.team import ParallelChoice, Team
from reknit.training.trained import Pair, Trained


class Replicated(Trained):
    """A copy on every process; DDP averages their gradients while the backward pass still runs."""

    def __init__(self, encoder: Encoder, objective: Objective) -> None:
        super().__init__(encoder, objective)
        # An objective may leave weights out (a pooler, upper layers), and may do so in some steps only.
        self._pair = DistributedDataParallel(Pair(encoder, objective), find_unused_parameters=True)

    def step(self, batch: Batch, rng: torch.Generator) -> StepOutput:
        return StepOutput(*self._pair(batch, rng))


def trained_by(team: Team, how: ParallelChoice, encoder: Encoder, objective: Objective) -> Trained:
    """What trains the two modules: themselves in one process, or one of the ways above in several."""
    if team.size == 1:
        return Trained(encoder, objective)
    if how == "ddp":
        return Replicated(encoder, objective)
    from reknit.training.sharded import Sharded

    return Sharded(encoder, objective, team)


class SharedCheckpoints(CheckpointFolder):
    """A checkpoint folder that rank 0 writes for all. Every call is made by all processes at once, and returns when
    the files are in place."""

    def __init__(self, folder: CheckpointFolder, team: Team, trained: Trained) -> None:
        super().__init__(folder.folder)
        self.team, self.trained = team, trained

    def save(
        self,
        step: int,
        encoder: nn.Module,
        objective: nn.Module,
        optimiser: torch.optim.Optimizer,
        state: dict[str, Any],
    ) -> None:
        self.trained.collect()
        if not self.team.is_rank_zero:
            optimiser.state_dict()  # gathering its slices takes everybody
        self._by_leader(super().save, step, encoder, objective, optimiser, state)

    def load_newest(
        self, encoder: nn.Module, objective: nn.Module, optimiser: torch.optim.Optimizer
    ) -> dict[str, Any] | None:
        state = super().load_newest(encoder, objective, optimiser)
        self.trained.spread()
        return state

    def save_encoder(self, name: str, encoder: nn.Module, objective: nn.Module | None = None) -> None:
        self.trained.collect()
        self._by_leader(super().save_encoder, name, encoder, objective)

    def load_encoder(self, name: str, encoder: nn.Module) -> None:
        super().load_encoder(name, encoder)
        self.trained.spread()

    def drop(self, first: int) -> None:
        self._by_leader(super().drop, first)

    def finish(self, result: dict[str, Any]) -> None:
        self._by_leader(super().finish, result)

    def _by_leader(self, write: Callable[..., None], *arguments: Any) -> None:
        if self.team.is_rank_zero:
            write(*arguments)
        self.team.wait()


def shared_probe(
    probe: Callable[[], dict[str, float]], team: Team, trained: Trained, encoder: Encoder
) -> Callable[[], dict[str, float]]:
    """`probe`, run by rank 0 on the weights as they are now, its values given to all."""

    def run() -> dict[str, float]:
        trained.collect()
        device, waits = next(trained.encoder.parameters()).device, next(encoder.parameters()).device
        if not team.is_rank_zero:
            return team.from_rank_zero(dict)
        encoder.to(device)
        values = team.from_rank_zero(probe)
        encoder.to(waits)
        return values

    return run
