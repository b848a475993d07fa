"""Masked pictures: each check of all objectives fails on a bug planted in this one; heads with layers."""

from __future__ import annotations

from dataclasses import replace

import pytest
import recipe_checks as checks
import torch
from planted import fails
from toy_models import batch_for, generator, neighbours, noise_for, texts_for, toy_encoder, toy_pair
from toys import pictures
from toys.pictures import several

from reknit.catalogue import find
from reknit.data.batch import Batch, View
from reknit.encoders.base import Encoder
from reknit.encoders.stems.base import LookUp, Rows
from reknit.encoders.stems.patches import PatchStem
from reknit.errors import ReknitError
from reknit.objectives.base import StepOutput
from reknit.objectives.masked_pictures import MaskedPictures, MaskedPicturesSpec

SIMMIM = find("simmim")
DEEP = replace(SIMMIM, objective=MaskedPicturesSpec(head_layers=1))


class ShowsMasked(PatchStem):
    def forward(self, view: View, look_up: LookUp) -> Rows:
        return super().forward(replace(view, masked=torch.zeros_like(view.masked)), look_up)


class Stopped(MaskedPictures):
    """No gradient reaches the encoder."""

    def forward(self, encoder: Encoder, batch: Batch, rng: torch.Generator) -> StepOutput:
        predicted, wanted, view = self.predictions(encoder, batch, rng)
        assert view.signal is not None
        states = encoder(view).last.detach()[view.signal.at[view.masked[view.signal.at]]]
        return StepOutput({"pixels": (self.pixels(states) - wanted).abs().mean() + 0 * predicted.sum()})


class OfAll(MaskedPictures):
    """The loss is over all patches, the visible ones too."""

    def forward(self, encoder: Encoder, batch: Batch, rng: torch.Generator) -> StepOutput:
        predicted, _, view = self.predictions(encoder, batch, rng)
        assert view.signal is not None
        everything = self.pixels(encoder(view).last[view.signal.at])
        return StepOutput({"pixels": (everything - view.signal.values).abs().mean() + 0 * predicted.sum()})


class Squared(MaskedPictures):
    def forward(self, encoder: Encoder, batch: Batch, rng: torch.Generator) -> StepOutput:
        predicted, wanted, _ = self.predictions(encoder, batch, rng)
        return StepOutput({"pixels": (predicted - wanted).pow(2).mean()})


class OutOfStep(MaskedPictures):
    """What is asked for is the next patch."""

    def predictions(self, encoder, batch, rng):
        predicted, wanted, view = super().predictions(encoder, batch, rng)
        return predicted, wanted.roll(1, dims=0), view


class Forgetful(MaskedPictures):
    """Says of no loss how low it can fall."""

    def floors(self, encoder, batch, rng):
        return {}


def planted(kind: type[MaskedPictures]) -> tuple[Encoder, MaskedPictures]:
    encoder, right = toy_pair(SIMMIM)
    torch.manual_seed(1)
    kind.__module__ = MaskedPictures.__module__  # by which its twin is found
    return encoder, kind(right.spec, encoder.dim, right.pixels.out_features)


def test_a_stem_that_shows_what_is_masked() -> None:
    encoder, objective = toy_pair(SIMMIM)
    showing = ShowsMasked(encoder.stem.projection.in_features, encoder.dim)
    showing.load_state_dict(encoder.stem.state_dict())
    encoder.stem = showing
    fails(checks.check_no_peek, objective, encoder, texts_for(SIMMIM, 3))
    encoder, objective = toy_pair(SIMMIM)
    encoder.stem = showing
    fails(
        checks.check_entropy_floor,
        objective,
        encoder,
        lambda step: noise_for(SIMMIM, step),
        learning_rate=1e-2,
    )


def test_losses_that_are_wrong() -> None:
    for kind, check, batch in (
        (Stopped, checks.check_gradients_reach_encoder, batch_for(SIMMIM, 0)),
        (OfAll, checks.check_against_naive, several(4)),
        (Squared, checks.check_against_naive, several(4)),
        (OutOfStep, checks.check_against_naive, several(4)),
    ):
        encoder, objective = planted(kind)
        fails(check, objective, encoder, batch)
    encoder, objective = planted(OutOfStep)
    with pytest.raises(AssertionError, match="does not ask for the token at its position"):
        checks.check_no_peek(objective, encoder, texts_for(SIMMIM, 3))
    encoder, objective = planted(Forgetful)
    fails(checks.check_entropy_floor, objective, encoder, lambda step: noise_for(SIMMIM, step))


def test_an_encoder_that_looks_at_other_pictures() -> None:
    encoder, objective = toy_pair(SIMMIM)
    # The mean of the whole batch, added to every state.
    encoder.final_norm.register_forward_hook(lambda _, given, states: states + states.mean(dim=0))
    fails(checks.check_packing_invariance, objective, encoder, *neighbours(SIMMIM))


def test_a_head_with_layers_passes_the_checks() -> None:
    for check, given in (
        (checks.check_gradients_reach_encoder, (batch_for(DEEP, 0),)),
        (checks.check_packing_invariance, neighbours(DEEP)),
        (checks.check_padding_invariance, (neighbours(DEEP)[1],)),
        (checks.check_no_peek, (texts_for(DEEP, 3),)),
        (checks.check_against_naive, (several(4),)),
        (checks.check_loss_falls, (batch_for(DEEP, 9),)),
    ):
        encoder, objective = toy_pair(DEEP)
        check(objective, encoder, *given)
    assert toy_pair(SIMMIM)[1].layers is None


def test_the_floor_is_the_loss_of_the_median() -> None:
    encoder, objective = toy_pair(SIMMIM)
    batch = several(2)
    _, wanted, _ = objective.predictions(encoder, batch, generator(7))
    floor = objective.floors(encoder, batch, generator(7))["pixels"]
    guesses = torch.linspace(-1, 1, 201)
    assert floor == pytest.approx(min(float((wanted - guess).abs().mean()) for guess in guesses), abs=1e-3)


def test_an_encoder_of_texts_is_refused() -> None:
    with pytest.raises(ReknitError, match="predicts patches of pictures, which the encoder does not read"):
        SIMMIM.objective.build(toy_encoder(), SIMMIM.objective, "mean")


def test_squares_larger_than_a_picture_are_refused() -> None:
    encoder = pictures.encoder()
    MaskedPicturesSpec(unit=4).build(encoder, pictures.VOCABULARY, "mean")
    with pytest.raises(ReknitError, match="unit is 5 patches, and a picture has 4 a side: set it lower"):
        MaskedPicturesSpec(unit=5).build(encoder, pictures.VOCABULARY, "mean")
