"""The catalogue as text: one line a recipe, or one recipe's card."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from reknit import catalogue
from reknit.claim import CLAIM_SIZES
from reknit.jobs.files import read_json
from reknit.recipe import Recipe
from reknit.runs.config import to_json

CLAIMS = Path("records") / "claims"
"""Where `reknit claim` keeps its records, below the current folder."""


def listing(*, as_json: bool = False) -> str:
    """All recipes, a line each: name, year, status, what its claim came to where that was measured, what it adds."""
    recipes = catalogue.recipes()
    if as_json:
        return json.dumps([_facts(recipe) for recipe in recipes.values()], indent=2, ensure_ascii=False)
    width = max(len(name) for name in recipes)
    lines = [
        f"{name:<{width}}  {r.card.year}  {r.card.status:<9}  {claim_verdict(name) or '–':<9}  {r.card.adds}"
        for name, r in sorted(recipes.items())
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
        f"Measured: {claim_verdict(name) or f'not yet (reknit claim {name})' if recipe.check else 'no check yet'}",
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


def claim_verdict(name: str) -> str | None:
    """What `reknit claim` has written of this recipe below the current folder, in short: of the largest size measured.

    None where nothing has been written."""
    verdicts = claim_verdicts(name)
    return verdicts[list(verdicts)[-1]] if verdicts else None


def claim_verdicts(name: str) -> dict[str, str]:
    """Size to verdict, in the order of the sizes, of those that were measured."""
    paths = {size: record_path(name, size) for size in CLAIM_SIZES}
    return {
        size: read_json(path)["verdict"].removesuffix(" at this scale") for size, path in paths.items() if path.exists()
    }


def record_path(name: str, size: str, folder: Path = CLAIMS) -> Path:
    """Where the record of a claim is, or would be."""
    return folder / (f"{name}.json" if size == "small" else f"{name}-{size}.json")


def _facts(recipe: Recipe) -> dict[str, Any]:
    return {"name": recipe.card.name, "claim_verdicts": claim_verdicts(recipe.card.name), **to_json(recipe)}


def _flat(settings: dict[str, Any], prefix: str = "") -> list[str]:
    lines: list[str] = []
    for name, value in settings.items():
        if isinstance(value, dict):
            lines += _flat(value, f"{prefix}{name}.")
        elif value is not None:
            lines.append(f"{prefix}{name} = {value}")
    return lines
