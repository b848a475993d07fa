"""The first losses of every recipe, each in a file of its own: `tests/recipes/golden/NAME.json`."""

from __future__ import annotations

import json
from pathlib import Path

from cases import tasks_of
from recipe_checks import first_losses
from toy_models import batch_for, toy_pair

from reknit.recipe import Recipe

FOLDER = Path(__file__).parents[1] / "recipes" / "golden"


def golden_losses(name: str) -> dict[str, float] | None:
    """By the name of the loss; None where none have been written."""
    file = FOLDER / f"{name}.json"
    return json.loads(file.read_text()) if file.exists() else None


def write_golden_losses(recipe: Recipe) -> Path:
    rounded = {loss: round(value, 6) for loss, value in current_first_losses(recipe).items()}
    file = FOLDER / f"{recipe.card.name}.json"
    file.write_text(json.dumps(rounded, indent=1, sort_keys=True) + "\n")
    return file


def current_first_losses(recipe: Recipe) -> dict[str, float]:
    """Of all its tasks, each alone."""
    # The mean tells untrained vectors apart; [CLS] alone hardly does, and the losses of pairs would all be chance.
    found = {}
    for one in tasks_of(recipe).values():
        encoder, objective = toy_pair(one, pooling="mean")
        found |= first_losses(objective, encoder, batch_for(recipe, 6))
    return found
