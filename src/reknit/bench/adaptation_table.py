"""The comparison of adaptations as a table, on the terminal or in Markdown: a row a system, a column a collection."""

from __future__ import annotations

from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

from reknit.bench.adaptation import columns
from reknit.report.table import markdown_table

LABELS = {
    "bm25": "BM25",
    "start": "start model",
    "rrf": "BM25 and the start model, reciprocal rank fusion",
    "start_hybrid": "best start model and BM25, weight by the probe",
    "plain": "adapted, queries not expanded (any library)",
    "adapted": "**adapted**, dense alone",
    "hybrid": "adapted and BM25, weight by the probe",
    "named": "**what the verdict without labels names**",
    "best": "best of all systems by the labels",
}


def comparison_table(record: dict[str, Any], console: Console) -> None:
    """Print the rows of `comparison_rows`, and how often the verdict without labels was right."""
    headings, rows = comparison_rows(record)
    table = Table(*headings, title=f"nDCG@10, {record['budget']} each")
    for row in rows:
        table.add_row(*(cell.replace("**", "") for cell in row))
    console.print(table)
    console.print(verdicts_sentence(record))


def comparison_markdown(record: dict[str, Any]) -> str:
    """The same rows as a Markdown table."""
    return markdown_table(*comparison_rows(record))


def comparison_rows(record: dict[str, Any]) -> tuple[list[str], list[list[str]]]:
    """(headings, a row a system); values to three places, of several seeds the median and the range."""
    found = record["collections"]
    headings = ["nDCG@10", *(f"{name} ({one['documents']:,} documents)" for name, one in found.items()), "mean"]
    means = record["summary"]["means"]
    rows = []
    for system, values in columns(record).items():
        label = LABELS.get(system, f"sentence-transformers, {system}")
        cells = [_cell(values.get(name, [])) for name in found]
        rows.append([label, *cells, f"{means[system]:.3f}" if system in means else ""])
    return headings, rows


def verdicts_sentence(record: dict[str, Any]) -> str:
    """How often the verdict without labels chose the model that the labels show to be better, and how it erred."""
    verdicts = record["summary"]["probe_verdicts"]
    runs = [run for one in record["collections"].values() for run in one["runs"]]
    unsure = sum(run["probe_verdict"] == "adapted" and run["verdict"] == "start" for run in runs)
    return (
        f"In {verdicts['right']} of {verdicts['runs']} runs the verdict without labels chose the model that scores "
        f"higher on the labels. It kept the start model although the adapted one is better in "
        f"{verdicts['start_though_worse']} of the runs, and chose the adapted model although it is no better in "
        f"{verdicts['adapted_though_worse']}. In {unsure} of the runs it chose the adapted model where its gain is not "
        f"significant on the labels."
    )


def _cell(values: list[float]) -> str:
    if not values:
        return ""
    if len(values) == 1:
        return f"{values[0]:.3f}"
    return f"{median(values):.3f} ({min(values):.3f} to {max(values):.3f})"
