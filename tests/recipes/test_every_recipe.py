"""Every kind of objective in the catalogue passes every check; a new recipe gets them for nothing."""

from __future__ import annotations

import math

import pytest
import recipe_checks as checks
from cases import CASES, RECIPES, Case
from golden import current_first_losses, golden_losses
from toy_models import (
    batch_for,
    grouped_for,
    kind_of,
    neighbours,
    noise_for,
    pair_kinds_of,
    texts_for,
    toy_pair,
    toy_pairs,
)

from reknit.objectives.base import EmbeddingObjective
from reknit.recipe import Recipe

every_case = pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
# What has no losses of vectors makes none, so nothing depends on how they are pooled.
POOLED = {
    f"{name}-{pooling}": (case, pooling)
    for name, case in CASES.items()
    for pooling in (("cls", "mean") if toy_pair(case.recipe)[1].vector_losses else ("cls",))
}
every_pooled_case = pytest.mark.parametrize(("case", "pooling"), POOLED.values(), ids=list(POOLED))
each_recipe_once = pytest.mark.parametrize("recipe", RECIPES.values(), ids=list(RECIPES))


@every_pooled_case
def test_gradients_reach_encoder(case: Case, pooling: str) -> None:
    encoder, objective = case.pair(pooling)
    checks.check_gradients_reach_encoder(objective, encoder, batch_for(case.recipe, 0))


@every_case
def test_bottleneck(case: Case) -> None:
    encoder, objective = case.pair()
    checks.check_bottleneck(objective, encoder, batch_for(case.recipe, 0))


@every_case
def test_untrained_parts(case: Case) -> None:
    encoder, objective = case.pair()
    checks.check_untrained(objective, encoder, batch_for(case.recipe, 0))


@every_pooled_case
def test_packing_invariance(case: Case, pooling: str) -> None:
    encoder, objective = case.pair(pooling)
    checks.check_packing_invariance(objective, encoder, *neighbours(case.recipe))


@every_pooled_case
def test_padding_invariance(case: Case, pooling: str) -> None:
    encoder, objective = case.pair(pooling)
    checks.check_padding_invariance(objective, encoder, neighbours(case.recipe)[1])


@every_case
def test_entropy_floor(case: Case) -> None:
    encoder, objective = case.pair()
    rate = 1e-2 if kind_of(case.recipe) == "passages" else 1e-3
    fresh = lambda step: noise_for(case.recipe, step)  # noqa: E731
    checks.check_entropy_floor(objective, encoder, fresh, learning_rate=rate)


@every_case
def test_no_peek(case: Case) -> None:
    encoder, objective = case.pair()
    checks.check_no_peek(objective, encoder, texts_for(case.recipe, 3))


@every_case
def test_against_naive(case: Case) -> None:
    encoder, objective = case.pair()
    checks.check_against_naive(objective, encoder, grouped_for(case.recipe, 4))
    if isinstance(objective, EmbeddingObjective) and kind_of(case.recipe) == "pairs":
        checks.check_positives(objective, toy_pairs(4, pairs=6))


@every_case
def test_loss_falls(case: Case) -> None:
    encoder, objective = case.pair()
    batch = toy_pairs(9, twins=True) if kind_of(case.recipe) == "pairs" else batch_for(case.recipe, 9)
    checks.check_loss_falls(objective, encoder, batch, case.progress)


@each_recipe_once
def test_first_losses_are_golden(recipe: Recipe) -> None:
    """Regenerate after an intended change: `python tests/recipes/regenerate_golden.py NAME`."""
    golden = golden_losses(recipe.card.name)
    assert golden is not None, "no golden losses; run python tests/recipes/regenerate_golden.py"
    assert current_first_losses(recipe) == pytest.approx(golden, abs=1e-4)


@each_recipe_once
def test_card_is_complete(recipe: Recipe) -> None:
    card = recipe.card
    for field in ("name", "title", "family", "paper", "adds", "facts", "claim", "citation"):
        assert getattr(card, field).strip(), f"the card has no {field}"
    assert card.citation.startswith("@")
    assert (card.status == "deviates") == bool(card.deviates)
    assert 1900 < card.year < 2100
    assert math.isfinite(recipe.optimiser.learning_rate)
    assert bool(pair_kinds_of(recipe)) == (kind_of(recipe) == "pairs")
