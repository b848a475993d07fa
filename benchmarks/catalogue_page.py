"""Make docs/catalogue.md from the systems' cards and the claims measured in records/claims.

python benchmarks/catalogue_page.py
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from reknit import catalogue
from reknit.claim import SIZES
from reknit.jobs.files import read_json
from reknit.recipe import CAPABILITIES, Method, Recipe, System
from reknit.report.table import markdown_table
from reknit.research.claim_table import arms_of, cell, findings, labels_of
from reknit.research.listing import by_capability, record_path
from reknit.research.verdict import shown_verdict

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "catalogue.md"
CLAIMS = ROOT / "records" / "claims"
INTRODUCTION = """# The catalogue

Made by `benchmarks/catalogue_page.py` from the systems' cards, ordered by what you want to do. `reknit recipes NAME`
shows the whole card of a system, its settings and citation, and how it is used. A *recipe* trains an encoder (`reknit
pretrain NAME --corpus CORPUS --out RUN`), a *method* is an option of another command (`reknit COMMAND --method NAME`),
and all other systems are surveys or analyses. The status *deviates* means that the system is not entirely as published;
its card lists the differences.

The column *claim* shows the verdict of `reknit claim NAME` at the largest size that was measured. Each experiment has a
control: a difference that is known to exist, such as between a trained arm and an untrained one.

- **holds**, **does not hold**: the whole 95% interval over the seeds says so, and the experiment showed the control. If
  the measurement is not the paper's claim itself in miniature, it is named in brackets: a *part* of the claim, the
  *mechanism* that it rests on, or a *proxy*.
- **undecided**: the experiment showed the control, but the interval allows both answers. This is no evidence against
  the paper.
- **blind**: the control was not shown or not measured, so at this size the experiment cannot tell. Whatever differences
  its arms have say nothing about the claim."""
BLIND = """The arms of these systems were trained and measured, but no control was shown. Their values are kept in
records/claims and not printed here, because at these sizes arms may differ only in how little they have disturbed the
random initial weights. `reknit claim NAME` measures a claim again, with its control."""


def main() -> None:
    PAGE.write_text(page(), encoding="utf-8")


def page() -> str:
    """The whole page."""
    found = catalogue.systems()
    published = {system.card.system or name for name, system in found.items()}
    parts = [INTRODUCTION, f"{len(found)} entries of {len(published)} published systems."]
    for capability, members in by_capability(found):
        parts += [f"## {CAPABILITIES.get(capability, 'Other')}", table(list(members.values()))]
    decided, blind = [], []
    for name, system in found.items():
        records = records_of(system)
        if records and records[-1]["verdict"] == "blind":
            blind.append([f"`{name}`", records[-1]["size"], records[-1]["reason"]])
        elif records:
            decided += [f"### {name}: {shown_verdict(records[-1])}", *map(measured, records)]
    parts += ["## Claims whose experiment showed its control", *(decided or ["None yet."])]
    parts += ["## Blind", BLIND, markdown_table(["system", "size", "why"], blind)]
    return "\n\n".join(parts) + "\n"


def table(systems: list[System]) -> str:
    """One line a system."""
    rows = []
    for system in systems:
        card, found = system.card, records_of(system)
        paper = card.paper.split(";")[0].split(" ")[0].rstrip(",")
        name = f"[{card.name}]({paper})" if paper.startswith("http") else card.name
        name += f" ({card.system})" if card.system else ""
        verdict = shown_verdict(found[-1]) if found else "not measured"
        rows.append([name, kind(system), str(card.year), card.adds, card.status, verdict])
    return markdown_table(["system", "kind", "year", "what it adds", "status", "claim"], rows)


def kind(system: System) -> str:
    """What the system is, in a word or two."""
    if isinstance(system, Recipe):
        return "recipe"
    return f"`{system.part.verb}`: {system.part.role}" if isinstance(system, Method) else "survey"


def measured(record: dict[str, Any]) -> str:
    """The result at one size; of a blind one only the reason."""
    heading = f"Size {record['size']}: {shown_verdict(record)}"
    if record["verdict"] == "blind":
        return f"{heading}, {record['reason']}."
    lines = [f"- {line.strip()}" for line in findings(record)]
    labels = labels_of(record)
    rows = [[f"`{arm}`", *(cell(record, arm, label) for label in labels)] for arm in arms_of(record)]
    machine = record["machine"]
    budget = f", {record['budget']} each" if record["budget"] else ""
    where = f"{machine.get('accelerator', machine['processor'])}, {record['date'][:10]}"
    about = f"{record['seeds']} seeds{budget}; {where}. `{record['command']}`"
    return "\n\n".join([heading + ".", "\n".join(lines), markdown_table(["arm", *labels], rows), about])


def records_of(system: System) -> list[dict[str, Any]]:
    """What `reknit claim` has written of the system, the largest size last."""
    paths = [record_path(system.card.name, size, CLAIMS) for size in SIZES]
    return [read_json(path) for path in paths if path.exists()]


if __name__ == "__main__":
    main()
