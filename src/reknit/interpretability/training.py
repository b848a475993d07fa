"""Training a feature model on stored states.

The loop is a separate one because `training/trainer.py` trains an encoder and an objective on batches of tokens,
measured by a retrieval probe; here are neither encoder nor tokens. The optimiser, its schedule and the checkpoints are
those of `training/`.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from reknit.data.order import EpochOrder
from reknit.errors import ReknitError
from reknit.interpretability.activation_store import ActivationStore
from reknit.interpretability.feature_model import FeatureModel, FeatureModelSpec, standardise
from reknit.jobs.interrupt import Interrupted, StopRequest
from reknit.jobs.precision import best_device
from reknit.training.checkpoint import CheckpointFolder
from reknit.training.optimiser import build_optimiser, learning_rate

_SECONDS_BETWEEN_CHECKPOINTS = 120.0

Losses = dict[str, Tensor]


class IdleFeatures(nn.Module):
    """How many steps ago each feature fired last. steps: [width] int64."""

    steps: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.register_buffer("steps", torch.zeros(width, dtype=torch.int64))

    def update(self, code: Tensor) -> None:
        """code: [B, width] of one more step."""
        fired = (code.detach() > 0).any(dim=0)
        self.steps.copy_(torch.where(fired, 0, self.steps + 1))


def feature_losses(model: FeatureModel, spec: FeatureModelSpec, states: Tensor, idle: IdleFeatures) -> Losses:
    """The losses of one step, as in the public code of Lee et al. 2025 (see `FeatureModel`); counts idle features.

    states: [B, dim]. "reconstruction": mean squared error of the standardised states. "auxiliary": what the dead
    features with the largest activations, `auxiliary_features` of each input, make of what is left over. "norm":
    squared difference between the code's length and the input's. A loss without weight or without dead features is left
    out.
    """
    inputs = standardise(states).inputs
    activations = model.activations(inputs)
    code = model.select(activations, inputs)
    error = inputs - model.decode(code)
    losses = {"reconstruction": error.square().mean()}
    idle.update(code)
    dead = idle.steps >= spec.dead_after
    if spec.auxiliary_weight and bool(dead.any()):
        losses["auxiliary"] = spec.auxiliary_weight * _auxiliary(model, spec, activations, dead, error)
    if spec.norm_weight:
        losses["norm"] = spec.norm_weight * (code.norm(dim=1) - inputs.norm(dim=1)).square().mean()
    return losses


def _auxiliary(model: FeatureModel, spec: FeatureModelSpec, activations: Tensor, dead: Tensor, error: Tensor) -> Tensor:
    of_dead = activations[:, dead]
    largest, places = of_dead.topk(min(spec.auxiliary_features, of_dead.shape[1]), dim=1)
    code = torch.zeros_like(of_dead).scatter(1, places, largest)
    return (code @ model.decoder[dead] - error).square().mean()


def train_step(
    model: FeatureModel,
    spec: FeatureModelSpec,
    states: Tensor,
    idle: IdleFeatures,
    optimiser: torch.optim.Optimizer,
    progress: float,
) -> dict[str, float]:
    """One step on [B, dim] states; progress: fraction of the training that is over. Returns each loss before it."""
    rate = learning_rate(spec.optimiser, progress)
    for group in optimiser.param_groups:
        group["lr"] = rate
    losses = feature_losses(model, spec, states, idle)
    optimiser.zero_grad()
    torch.stack(list(losses.values())).sum().backward()
    nn.utils.clip_grad_norm_(model.parameters(), spec.optimiser.max_grad_norm)
    model.project_gradient()
    optimiser.step()
    model.normalise_decoder()
    return {name: float(loss.detach()) for name, loss in losses.items()}


def train_features(
    spec: FeatureModelSpec,
    store: ActivationStore,
    folder: Path,
    *,
    rows: int | None = None,
    states: int = 2_000_000,
    seed: int = 0,
    stop: StopRequest | None = None,
    on_progress: Callable[..., None] | None = None,
) -> FeatureModel:
    """Train a new feature model on the first `rows` states of a store (all when None), on the accelerator where there
    is one, and return it in evaluation mode.

    states: seen in all, so that `states / rows` is the number of epochs. folder: of checkpoints; what is there is
    resumed, and it is removed at the end. Everything random follows from the seed, so that a resumed training ends with
    the same weights. on_progress: called as `Progress.update`. Raises ReknitError where there are no rows, and
    Interrupted with a checkpoint when a stop is asked for.
    """
    rows = store.num_states if rows is None else rows
    if rows < 2:
        raise ReknitError(f"{rows} token states are too few to train on: give more texts")
    device = best_device()
    model, idle = spec.build(store.dim, seed).to(device).train(), IdleFeatures(spec.width).to(device)
    optimiser = build_optimiser([model], spec.optimiser)
    checkpoints = CheckpointFolder(folder)
    resumed = checkpoints.load_newest(model, idle, optimiser)
    order, size = EpochOrder(rows, seed), min(spec.states_per_batch, rows)
    steps, written = max(1, states // size), time.monotonic()
    for step in range(resumed["step"] if resumed else 0, steps):
        if stop is not None and stop.asked:
            checkpoints.save(step, model, idle, optimiser, {"step": step})
            raise Interrupted(f"stopped after {step} of {steps} steps")
        if time.monotonic() - written > _SECONDS_BETWEEN_CHECKPOINTS:
            checkpoints.save(step, model, idle, optimiser, {"step": step})
            written = time.monotonic()
        batch = store.rows(_batch(order, rows, size, step)).to(device)
        losses = train_step(model, spec, batch, idle, optimiser, step / steps)
        if on_progress is not None:
            on_progress((step + 1) * size, loss=float(sum(losses.values())))
    shutil.rmtree(folder, ignore_errors=True)
    return model.eval()


def _batch(order: EpochOrder, rows: int, size: int, step: int) -> np.ndarray:
    """[size] numbers of states; a batch that begins at an epoch's end continues in the next epoch."""
    epoch, first = divmod(step * size, rows)
    found = order(epoch)[first : first + size]
    return found if len(found) == size else np.concatenate((found, order(epoch + 1)[: size - len(found)]))
