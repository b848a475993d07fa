"""What the checks are run on: every kind of objective in the catalogue once, in every part of its training.

Recipes whose objectives differ in numbers alone compute the same, so the oldest of them stands for all; whether a
number is 0 makes a difference.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, fields, is_dataclass, replace

from toy_models import kind_of, tagger_of, toy_pair

from reknit.catalogue import recipes
from reknit.encoders.huggingface.loading import HuggingFaceEncoder
from reknit.objectives.base import FollowsProgress, Objective
from reknit.recipe import Recipe


@dataclass(frozen=True)
class Case:
    """A recipe when `progress` of its training is over; of several tasks, with one alone."""

    recipe: Recipe
    progress: float = 0.0

    def pair(self, pooling: str = "cls") -> tuple[HuggingFaceEncoder, Objective]:
        return toy_pair(self.recipe, pooling=pooling, progress=self.progress)


def cases_of(recipes: dict[str, Recipe]) -> dict[str, Case]:
    """The cases by name: of each kind the oldest system."""
    first: dict[Hashable, tuple[str, Case]] = {}
    for name, recipe in by_age(recipes):
        for task, one in tasks_of(recipe).items():
            called = f"{name}, {task} alone" if task else name
            for progress in (0.0, 1.0) if isinstance(toy_pair(one)[1], FollowsProgress) else (0.0,):
                case = Case(one, progress)
                first.setdefault((kind(one), progress), (f"{called}, last part" if progress else called, case))
    return dict(sorted(first.values(), key=lambda item: item[0]))


def by_age(recipes: dict[str, Recipe]) -> list[tuple[str, Recipe]]:
    return sorted(recipes.items(), key=lambda item: (item[1].card.year, item[0]))


def tasks_of(recipe: Recipe) -> dict[str, Recipe]:
    """By task, a recipe each step of which does one of several, with that one alone; any other is one without name."""
    parts = recipe.objective.parts() or {"": recipe.objective}
    return {task: replace(recipe, objective=spec) for task, spec in parts.items()}


def kind(recipe: Recipe) -> Hashable:
    """What of a recipe decides what its objective computes."""
    return settings_kind(recipe.objective), kind_of(recipe), tagger_of(recipe)


def settings_kind(value: object) -> Hashable:
    if is_dataclass(value):
        return type(value), *(settings_kind(getattr(value, field.name)) for field in fields(value))
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value != 0
    return value


RECIPES = recipes()
CASES = cases_of(RECIPES)
