"""A claim's record on the terminal: values of all arms, the control, each part, and the verdict."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

from reknit.claim import EVERY_MEASURE
from reknit.report.table import print_whole
from reknit.research.statistics import interval
from reknit.research.table import with_interval
from reknit.research.verdict import shown_verdict


def show_claim(record: dict[str, Any], console: Console) -> None:
    """Print a record of `reknit claim`."""
    labels = labels_of(record)
    table = Table("arm", *labels, title=f"{record['name']}, {record['size']}", title_justify="left")
    for arm in arms_of(record):
        table.add_row(arm, *(cell(record, arm, label) for label in labels))
    print_whole(table, console)
    for line in findings(record):
        console.print(line, soft_wrap=True, highlight=False, markup=False)


def findings(record: Mapping[str, Any]) -> list[str]:
    """The claim, what its control and each of its parts came to, and the verdict, a line each."""
    lines = [f"{record['name']}: {record['claim']}"]
    for control in controls_of(record):
        seen = "seen" if control["seen"] else "not seen"
        lines.append(f"  control: {_pair(control['pair'], 'better', control)}: {seen}")
    for pair in record["pairs"]:
        lines.append(f"  {_pair(pair, pair['asked'], pair)}: {answer(record, pair)}")
    for bound in record["bounds"]:
        values = ", ".join(f"{value:.3g}" for value in bound["values"])
        named = f"{bound['arm']}: {bound['measure']} at most {bound['at_most']:g}"
        lines.append(f"  {named}: {answer(record, bound)} ({values})")
    needs = f" {record['needs']}" if record["needs"] else ""
    return [*lines, f"Verdict: {shown_verdict(record)}{': ' + record['reason'] if record['reason'] else ''}.{needs}"]


def answer(record: Mapping[str, Any], part: Mapping[str, Any]) -> str:
    """What one part came to; nothing is said of it where the control was not seen."""
    return "no verdict" if record["verdict"] == "blind" else str(part["answer"])


def controls_of(record: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The controls that were measured."""
    first = record["control"]
    every = [] if first is None else [first, *first["further"]]
    return [control for control in every if control["difference"] is not None]


def arms_of(record: Mapping[str, Any]) -> list[str]:
    """The arms in the order in which they were measured."""
    return list(dict.fromkeys(run["arm"] for run in record["runs"]))


def labels_of(record: Mapping[str, Any]) -> list[str]:
    """The measures that some arm has."""
    labels = dict.fromkeys(label for run in record["runs"] for label in run["values"])
    return [label for label in labels if any(run["values"].get(label) is not None for run in record["runs"])]


def values_of(record: Mapping[str, Any], arm: str, label: str) -> list[float | None]:
    """[seeds] of one arm."""
    return [run["values"].get(label) for run in record["runs"] if run["arm"] == arm]


def cell(record: Mapping[str, Any], arm: str, label: str) -> str:
    """The mean over the seeds with its interval; a dash where a seed has no value."""
    found = values_of(record, arm, label)
    numbers = [value for value in found if value is not None]
    return with_interval(interval(numbers).to_json() if len(numbers) == len(found) else None)


def _pair(pair: Mapping[str, Any], asked: str, found: Mapping[str, Any]) -> str:
    """Two arms, what is asked of them, and by what, with the difference."""
    measure = "the mean of all measures" if pair["measure"] == EVERY_MEASURE else pair["measure"]
    by = f" by {pair['at_least']:g}" if pair["at_least"] else ""
    than = f"better than {pair['second']}{by}"
    if asked == "no worse":
        than = f"no worse than {pair['second']} by {pair['margin']:g}"
    difference = with_interval({"mean": found["difference"], "ci95": found["ci95"]}, signed=True)
    return f"{pair['first']} {than} ({measure} {difference})"
