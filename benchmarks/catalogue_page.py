"""Make docs/catalogue.md from the recipes' cards and the claims measured in records/claims.

python benchmarks/catalogue_page.py
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from reknit import catalogue
from reknit.recipe import Recipe
from reknit.training.files import read_json

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "catalogue.md"
CLAIMS = ROOT / "records" / "claims"
TITLES = {
    "retrieval-embedding": "Retrieval and embedding",
    "elastic-embedding": "Embeddings of many sizes",
    "text-objective": "Objectives on text",
}
INTRODUCTION = """# The catalogue

Made by `benchmarks/catalogue_page.py` from the recipes' cards; `reknit recipes NAME` shows a whole card with its
settings and its citation, `reknit pretrain NAME --corpus CORPUS --out RUN` trains it, `reknit claim NAME` measures its
claim. *Deviates* says that the card names where the recipe is not as published. A claim *holds* or *holds not* when the
whole 95% interval over the seeds says so, at a size that a processor trains in minutes; most differences are smaller
than that, and the claim is then *undecided at this scale*, which says nothing against the paper."""


def main() -> None:
    PAGE.write_text(page(), encoding="utf-8")


def page() -> str:
    """The whole page."""
    recipes = catalogue.recipes()
    systems = {recipe.card.system or name for name, recipe in recipes.items()}
    parts = [INTRODUCTION, f"{len(recipes)} recipes of {len(systems)} systems."]
    for family in sorted({recipe.card.family for recipe in recipes.values()}):
        found = [recipe for _, recipe in sorted(recipes.items()) if recipe.card.family == family]
        parts += [f"## {TITLES.get(family, family)}", table(found)]
    parts += ["## Claims measured", *[claim(recipe) for _, recipe in sorted(recipes.items()) if record_of(recipe)]]
    return "\n\n".join(parts) + "\n"


def table(recipes: list[Recipe]) -> str:
    """One line a recipe."""
    lines = ["| recipe | year | what it adds | status | claim |", "|---|---|---|---|---|"]
    for recipe in recipes:
        card, record = recipe.card, record_of(recipe)
        verdict = record["verdict"].removesuffix(" at this scale") if record else "not measured"
        system = f" ({card.system})" if card.system else ""
        paper = card.paper.split(";")[0].split(" ")[0].rstrip(",")
        name = f"[{card.name}]({paper})" if paper.startswith("http") else card.name
        lines.append(f"| {name}{system} | {card.year} | {card.adds} | {card.status} | {verdict} |")
    return "\n".join(lines)


def claim(recipe: Recipe) -> str:
    """What was claimed, and the differences that were found."""
    record = record_of(recipe)
    assert record is not None
    arms = {arm: found["values"] for arm, found in record["summary"].items()}
    lines = [f"### {recipe.card.name}: {record['verdict']}", "", f"Claim: {record['claim']}", ""]
    for pair in record["pairs"]:
        low, high = pair["difference"]["ci95"]
        allowed = f" (up to {pair['margin']} worse is allowed)" if pair["margin"] else ""
        lines.append(
            f"- `{pair['better']}` minus `{pair['other']}`: {pair['difference']['mean']:+.3f} "
            f"[{low:+.3f}, {high:+.3f}], {pair['answer']}{allowed}"
        )
    labels = [label for label in next(iter(arms.values())) if label != "all"]
    lines += ["", "| arm | " + " | ".join(labels) + " |", "|---" * (len(labels) + 1) + "|"]
    for arm, values in arms.items():
        cells = [f"{values[label]['mean']:.3f}" if values[label] else "–" for label in labels]
        lines.append(f"| `{arm}` | " + " | ".join(cells) + " |")
    where = f"{record['machine']['processor']}, {record['date'][:10]}"
    needs = f" To be seen, it would need what this check lacks: {record['needs']}" if record["needs"] else ""
    lines += ["", f"{record['seeds']} seeds, {record['check']['budget']} each; {where}.{needs}"]
    return "\n".join(lines)


def record_of(recipe: Recipe) -> dict[str, Any] | None:
    """What `reknit claim` has written of the recipe."""
    path = CLAIMS / f"{recipe.card.name}.json"
    return read_json(path) if path.exists() else None


if __name__ == "__main__":
    main()
