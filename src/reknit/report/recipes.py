"""The catalogue as text: one line a recipe, or one recipe's card."""

from __future__ import annotations

import json
from typing import Any

from reknit import catalogue
from reknit.recipe import Recipe
from reknit.training.config import to_json


def listing(*, as_json: bool = False) -> str:
    """All recipes, a line each: name, family, year, what it adds, status."""
    recipes = catalogue.recipes()
    if as_json:
        return json.dumps([_facts(recipe) for recipe in recipes.values()], indent=2, ensure_ascii=False)
    width = max(len(name) for name in recipes)
    lines = [
        f"{name:<{width}}  {r.card.year}  {r.card.status:<9}  {r.card.adds}" for name, r in sorted(recipes.items())
    ]
    return "\n".join(
        [*lines, "", "reknit recipes NAME shows a card; reknit pretrain NAME --corpus C --out RUN trains."]
    )


def describe(name: str, *, as_json: bool = False) -> str:
    """One recipe's card, settings and citation. Raises ReknitError when there is no such recipe."""
    recipe = catalogue.find(name)
    if as_json:
        return json.dumps(_facts(recipe), indent=2, ensure_ascii=False)
    card = recipe.card
    deviations = [f"  - {line}" for line in card.deviates] or ["  nothing known"]
    settings = to_json(recipe)
    settings.pop("card")
    lines = [
        f"{card.name}: {card.title} ({card.year})",
        f"{card.family} · {card.status} · {card.paper}",
        "",
        f"Adds: {card.adds}",
        f"Claim: {card.claim}",
        f"Facts: {card.facts}",
        "Deviates in:",
        *deviations,
        "",
        "Settings (each reachable with --set pretrain.FIELD=VALUE):",
        *[f"  {line}" for line in _flat(settings)],
        "",
        card.citation,
        "",
        f"Train it: reknit pretrain {card.name} --corpus CORPUS --out RUN",
    ]
    return "\n".join(lines)


def _facts(recipe: Recipe) -> dict[str, Any]:
    return {"name": recipe.card.name, **to_json(recipe)}


def _flat(settings: dict[str, Any], prefix: str = "") -> list[str]:
    lines: list[str] = []
    for name, value in settings.items():
        if isinstance(value, dict):
            lines += _flat(value, f"{prefix}{name}.")
        elif value is not None:
            lines.append(f"{prefix}{name} = {value}")
    return lines
