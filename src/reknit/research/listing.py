"""The catalogue as text: a line for each system, grouped by purpose; or one system's card."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from reknit import catalogue
from reknit.claim import SIZES
from reknit.jobs.files import read_json
from reknit.recipe import CAPABILITIES, Method, Recipe, System
from reknit.research.verdict import shown_verdict
from reknit.runs.config import to_json
from reknit.runs.settings import written

CLAIMS = Path("records") / "claims"
"""Where `reknit claim` keeps its records, below the current folder."""


def listing(*, as_json: bool = False) -> str:
    """All systems by capability, a line each: name, year, status, verdict on its claim if measured, what it adds."""
    systems = catalogue.systems()
    if as_json:
        return json.dumps([_facts(system) for system in systems.values()], indent=2, ensure_ascii=False)
    width = max(len(name) for name in systems)
    lines = ["What do you want to do?"]
    for capability, members in by_capability(systems):
        lines += ["", f"{CAPABILITIES.get(capability, 'Other')} ({capability or 'other'})"]
        for name, system in members.items():
            card, verdict = system.card, claim_verdict(name) or "–"
            lines.append(f"  {name:<{width}}  {card.year}  {card.status:<9}  {verdict:<9}  {card.adds}")
    end = (
        "Each line: name, year, faithful to the paper or deviating from it, verdict on its claim, what it adds.\n"
        "`reknit recipes NAME` shows a system's card and how it is used."
    )
    return "\n".join([*lines, "", end])


def by_capability(systems: Mapping[str, System]) -> Iterator[tuple[str, dict[str, System]]]:
    """The systems of each capability that has some, in the order of CAPABILITIES; what names none comes last."""
    for capability in dict.fromkeys((*CAPABILITIES, *(system.card.capability for system in systems.values()))):
        members = {name: system for name, system in systems.items() if system.card.capability == capability}
        if members:
            yield capability, members


def describe(name: str, *, as_json: bool = False) -> str:
    """One system's card, settings and citation. Raises ReknitError when there is no such system."""
    system = catalogue.find_system(name)
    if as_json:
        return json.dumps(_facts(system), indent=2, ensure_ascii=False)
    card = system.card
    deviations = [f"  - {line}" for line in card.deviates] or ["  nowhere, as far as we know"]
    measured = claim_verdict(name) or (f"not yet (reknit claim {name})" if system.check else "no check yet")
    lines = [
        f"{card.name}: {card.title} ({card.year})",
        f"{CAPABILITIES.get(card.capability, card.family)} · {card.status} · {card.paper}",
        "",
        f"Adds: {card.adds}",
        f"Claim: {card.claim}",
        f"Measured: {measured}",
        f"Facts: {card.facts}",
        "Deviates from the paper:",
        *deviations,
        "",
        *_settings(system),
        card.citation,
        "",
        f"How to use it: {catalogue.usage(system)}",
    ]
    return "\n".join(lines)


def claim_verdict(name: str) -> str | None:
    """The verdict that `reknit claim` recorded for this system, below the current folder, at the largest size measured.

    None where nothing has been written."""
    verdicts = claim_verdicts(name)
    return verdicts[list(verdicts)[-1]] if verdicts else None


def claim_verdicts(name: str) -> dict[str, str]:
    """Size to verdict, in the order of the sizes, of those that were measured."""
    paths = {size: record_path(name, size) for size in SIZES}
    return {size: shown_verdict(read_json(path)) for size, path in paths.items() if path.exists()}


def record_path(name: str, size: str, folder: Path = CLAIMS) -> Path:
    """Where the record of a claim is, or would be."""
    return folder / (f"{name}.json" if size == "small" else f"{name}-{size}.json")


def _settings(system: System) -> list[str]:
    """What of the system can be set, and how."""
    settings = {name: value for name, value in to_json(system).items() if name not in ("card", "check")}
    if isinstance(system, Recipe):
        heading = "Settings (change one with --set pretrain.FIELD=VALUE; `reknit settings NAME` explains them):"
    elif isinstance(system, Method):
        heading, settings = "Settings:", {"part": settings["part"]}
    else:
        return []
    return [heading, *(f"  {line}" for line in _flat(settings)), ""]


def _facts(system: System) -> dict[str, Any]:
    facts = {"name": system.card.name, "kind": type(system).__name__, "usage": catalogue.usage(system)}
    return facts | {"claim_verdicts": claim_verdicts(system.card.name), **to_json(system)}


def _flat(settings: dict[str, Any], prefix: str = "") -> list[str]:
    lines: list[str] = []
    for name, value in settings.items():
        if isinstance(value, dict):
            lines += _flat(value, f"{prefix}{name}.")
        elif value is not None:
            lines.append(f"{prefix}{name} = {written(tuple(value) if isinstance(value, list) else value)}")
    return lines
