"""Make docs/catalogue.md from the recipes' cards and the claims measured in records/claims.

python benchmarks/catalogue_page.py
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from reknit import catalogue
from reknit.claim import CLAIM_SIZES
from reknit.jobs.files import read_json
from reknit.recipe import BudgetSpec, Recipe
from reknit.research.listing import record_path
from reknit.research.table import labels_of
from reknit.training.budget import format_budget

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "catalogue.md"
CLAIMS = ROOT / "records" / "claims"
TITLES = {
    "retrieval-embedding": "Retrieval and embedding",
    "elastic-embedding": "Embeddings of many sizes",
    "text-objective": "Objectives on text",
    "data-curation": "Which data count how much",
}
INTRODUCTION = """# The catalogue

Made by `benchmarks/catalogue_page.py` from the recipes' cards; `reknit recipes NAME` shows a whole card with its
settings and its citation, `reknit pretrain NAME --corpus CORPUS --out RUN` trains it, `reknit claim NAME` measures its
claim. *Deviates* says that the card names where the recipe is not as published. A claim *holds* or *holds not* when the
whole 95% interval over the seeds says so, at the small size, which a processor trains in minutes, or the large one, for
a GPU (`--size`); most differences are smaller than that, and the claim is then *undecided at this scale*, which says
nothing against the paper. The column *claim* tells of the largest size that was measured."""


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
    parts.append("## Claims measured")
    for name, recipe in sorted(recipes.items()):
        found = records_of(recipe)
        if found:
            parts += [f"### {name}: {found[-1]['verdict']}", f"Claim: {recipe.card.claim}", *map(measured, found)]
    return "\n\n".join(parts) + "\n"


def table(recipes: list[Recipe]) -> str:
    """One line a recipe."""
    lines = ["| recipe | year | what it adds | status | claim |", "|---|---|---|---|---|"]
    for recipe in recipes:
        card, found = recipe.card, records_of(recipe)
        verdict = found[-1]["verdict"].removesuffix(" at this scale") if found else "not measured"
        system = f" ({card.system})" if card.system else ""
        paper = card.paper.split(";")[0].split(" ")[0].rstrip(",")
        name = f"[{card.name}]({paper})" if paper.startswith("http") else card.name
        lines.append(f"| {name}{system} | {card.year} | {card.adds} | {card.status} | {verdict} |")
    return "\n".join(lines)


def measured(record: dict[str, Any]) -> str:
    """The differences that were found at one size."""
    arms = {arm: found["values"] for arm, found in record["summary"].items()}
    lines = []
    for pair in record["pairs"]:
        low, high = pair["difference"]["ci95"]
        allowed = f" (up to {pair['margin']} worse is allowed)" if pair["margin"] else ""
        lines.append(
            f"- `{pair['better']}` minus `{pair['other']}`: {pair['difference']['mean']:+.3f} "
            f"[{low:+.3f}, {high:+.3f}], {pair['answer']}{allowed}"
        )
    labels = [label for label in labels_of(record["summary"]) if label != "all"]
    lines += ["", "| arm | " + " | ".join(labels) + " |", "|---" * (len(labels) + 1) + "|"]
    for arm, values in arms.items():
        cells = [f"{values[label]['mean']:.3f}" if values[label] else "–" for label in labels]
        lines.append(f"| `{arm}` | " + " | ".join(cells) + " |")
    machine = record["machine"]
    where = f"{machine.get('accelerator', machine['processor'])}, {record['date'][:10]}"
    needs = f" To be seen, it would need what this check lacks: {record['needs']}" if record["needs"] else ""
    budget = format_budget(BudgetSpec(**record["config"]["budget"]))
    lines += ["", f"Size {record.get('size', 'small')}: {record['seeds']} seeds, {budget} each; {where}.{needs}"]
    return "\n".join(lines)


def records_of(recipe: Recipe) -> list[dict[str, Any]]:
    """What `reknit claim` has written of the recipe, the largest size last."""
    paths = [record_path(recipe.card.name, size, CLAIMS) for size in CLAIM_SIZES]
    return [read_json(path) for path in paths if path.exists()]


if __name__ == "__main__":
    main()
