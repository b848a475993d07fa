"""What an objective computes on the way to its losses, by their names."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn
from toy_models import generator
from twins import twin_of

from reknit.data.batch import Batch
from reknit.encoders.base import Encoder
from reknit.objectives.base import Objective
from reknit.objectives.predictions import Decisions, Distributions, Matches, Predictions, ReconstructionObjective

Shown = Predictions | Decisions | Distributions | Matches


def shown_by(objective: Objective, encoder: Encoder, batch: Batch) -> dict[str, Shown]:
    """All that it shows of the step whose generator is `generator(0)`."""
    found: dict[str, Shown] = {**twin_of(objective).predictions(objective, encoder, batch, generator(0))}
    if isinstance(objective, ReconstructionObjective):
        found |= objective.decisions(encoder, batch, generator(0))
        found |= objective.distributions(encoder, batch, generator(0))
        found |= objective.matches(encoder, batch, generator(0))
    return found


def comparable(found: Shown) -> Tensor:
    """States, and vectors to be found; the first logits of a detection head are tiny, so they are brought to the size
    of states."""
    if isinstance(found, Matches):
        return torch.cat((found.states, found.targets), dim=1)
    if not isinstance(found, Decisions):
        return found.states
    return found.states / found.states.detach().abs().max().clamp_min(1e-6)


def rows_before(found: Shown, length: int) -> Shown:
    """Those of the first `length` tokens of the batch."""
    here = found.positions < length
    if isinstance(found, Matches):
        return replace(found, states=found.states[here], targets=found.targets[here])
    return replace(found, states=found.states[here])


def gradients_by_loss(
    objective: Objective, encoder: nn.Module, batch: Batch, training: bool = True
) -> dict[str, dict[int, Tensor]]:
    """Of each loss alone, the gradient of each of the encoder's parameters by its id."""
    objective.train(training), encoder.train(training)
    found = {}
    for name in objective(encoder, batch, generator(0)).losses:
        encoder.zero_grad(), objective.zero_grad()
        objective(encoder, batch, generator(0)).losses[name].backward()
        found[name] = {
            id(p): p.grad.clone() if p.grad is not None else torch.zeros_like(p) for p in encoder.parameters()
        }
    encoder.zero_grad(), objective.zero_grad()
    assert found, "there is no loss"
    return found


def difference(one: Tensor, other: Tensor) -> float:
    """The largest difference of two numbers; where they are large, in parts of the largest of them."""
    return float((one - other).abs().max() / one.abs().max().clamp_min(1.0)) if one.numel() else 0.0
