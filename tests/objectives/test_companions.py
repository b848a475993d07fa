"""Companions are frozen, are not part of what they are given to, and a moving average follows as a loop would."""

from __future__ import annotations

import copy

import pytest
import torch
from toy_models import generator, toy_batch, toy_encoder

from reknit.data.batch import View
from reknit.errors import ReknitError
from reknit.objectives.base import Objective, StepOutput
from reknit.objectives.companions import START, Companions, MovingAverage
from reknit.training.budget import count_flops


class Imitation(Objective):
    """Be near to what a companion says."""

    def forward(self, encoder, batch, rng):
        view = View.clean(batch)
        return StepOutput({"distance": (encoder(view).last - self.companions[START](view).last).pow(2).mean()})


def test_a_companion_is_frozen_and_no_part_of_its_objective() -> None:
    objective, start = Imitation(), toy_encoder()
    objective.meet(Companions({START: start}))
    assert not list(objective.parameters())
    assert not objective.state_dict()
    assert not start.training
    assert not any(parameter.requires_grad for parameter in start.parameters())
    encoder = toy_encoder()
    with torch.no_grad():
        encoder.table.add_(0.1)
    objective(encoder, toy_batch(0), generator(0)).total.backward()
    assert encoder.table.grad is not None
    assert start.table.grad is None


def test_a_companion_that_is_not_there_is_named() -> None:
    with pytest.raises(ReknitError, match="needs the companion 'start', and there is none"):
        Imitation()(toy_encoder(), toy_batch(0), generator(0))
    with pytest.raises(ReknitError, match="there is mlm, clm"):
        Companions({"mlm": toy_encoder(), "clm": toy_encoder()})[START]


def test_what_a_companion_computes_is_counted() -> None:
    objective, encoder = Imitation(), toy_encoder()
    objective.meet(Companions({START: toy_encoder()}))
    with count_flops() as alone:
        encoder(View.clean(toy_batch(0)))
    with count_flops() as both:
        objective(encoder, toy_batch(0), generator(0))
    assert both.get_total_flops() == 2 * alone.get_total_flops()


@pytest.mark.parametrize("decay", [0.0, 0.9, 1.0])
def test_a_moving_average_follows_as_a_loop_would(decay: float) -> None:
    encoder = toy_encoder()
    average, naive = MovingAverage(encoder, decay), copy.deepcopy(encoder.state_dict())
    for step in range(3):
        with torch.no_grad():
            for parameter in encoder.parameters():
                parameter.add_(torch.randn(parameter.shape, generator=generator(step)))
        average.follow(encoder)
        for name, value in encoder.named_parameters():
            naive[name] = decay * naive[name] + (1 - decay) * value.detach()
    for name, value in average.encoder.named_parameters():
        torch.testing.assert_close(value, naive[name], atol=1e-6, rtol=1e-5)
    assert not any(parameter.requires_grad for parameter in average.parameters())
    assert not average.train().encoder.training, "it never drops anything out"
    assert {name.partition(".")[0] for name in average.state_dict()} == {"encoder"}, "checkpoints hold it"


def test_a_decay_that_cannot_be() -> None:
    with pytest.raises(ReknitError, match="between 0 and 1"):
        MovingAverage(toy_encoder(), 1.5)
