"""Objectives that predict tokens refuse an encoder of something else; those on vectors take any."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor, nn
from toy_models import TOY_VOCABULARY, batch_for, generator, toy_encoder, toy_pair, toy_spec

from reknit.catalogue import recipes
from reknit.data.batch import View, positions_of
from reknit.encoders.base import Encoded, Encoder, token_encoder
from reknit.errors import ReknitError
from reknit.objectives.predictions import ReconstructionObjective
from reknit.objectives.replaced_token_detection import RandomTokenDetection

RECIPES = recipes()


class Numbers(Encoder):
    """The number of a row times a vector: no token has a row of its own."""

    dim, depth = 32, 2

    def __init__(self) -> None:
        super().__init__()
        self.direction = nn.Parameter(torch.ones(self.dim))

    def forward(self, view: View, layers: Sequence[int] | None = None) -> Encoded:
        states: Tensor = view.tokens[:, None].float() * self.direction
        wanted = layers or [self.depth]
        return Encoded(dict.fromkeys(wanted, states), view.cu_seqlens, positions_of(view.cu_seqlens), self.depth)


@pytest.mark.parametrize("name", RECIPES)
def test_what_predicts_tokens_needs_their_table(name: str) -> None:
    spec = toy_spec(RECIPES[name].objective)
    made = toy_pair(RECIPES[name])[1]
    # A detector decides about tokens and predicts none; vectors may be of anything.
    if isinstance(made, ReconstructionObjective) and not isinstance(made, RandomTokenDetection):
        with pytest.raises(ReknitError, match="reads no tokens"):
            spec.build(Numbers(), TOY_VOCABULARY, "cls")


@pytest.mark.parametrize("name", ["simcse", "rts"])
def test_what_needs_no_table_trains_any_encoder(name: str) -> None:
    encoder, recipe = Numbers(), RECIPES[name]
    objective = recipe.objective.build(encoder, TOY_VOCABULARY, "cls")
    objective(encoder, batch_for(recipe, 0), generator(0)).total.backward()
    assert float(encoder.direction.grad.abs().sum()) > 0


def test_an_encoder_of_tokens_is_itself() -> None:
    encoder = toy_encoder()
    assert token_encoder(encoder) is encoder
