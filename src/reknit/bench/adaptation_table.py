"""The comparison of adaptations as a table, for the terminal and for Markdown."""

from __future__ import annotations

from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

HEADINGS = {"bm25": "BM25", "start": "start", "rrf": "RRF", "adapted": "adapted", "hybrid": "hybrid"}


def comparison_table(record: dict[str, Any], console: Console) -> None:
    """Print the rows of `comparison_rows`."""
    headings, rows = comparison_rows(record)
    table = Table(*headings, title=f"nDCG@10 after {record['budget']} each, medians of the seeds")
    for row in rows:
        table.add_row(*row)
    console.print(table)
    found = record["summary"]["probe_verdicts"]
    console.print(
        f"The label-free verdict was right in {found['right']} of {found['runs']} runs; "
        f"{found['adapted_though_worse']} times it preferred an adapted model that is worse."
    )


def comparison_markdown(record: dict[str, Any]) -> str:
    """The same rows as a Markdown table."""
    headings, rows = comparison_rows(record)
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def comparison_rows(record: dict[str, Any]) -> tuple[list[str], list[list[str]]]:
    """(headings, a row a collection and one of means); values to three places, the seeds' range behind medians."""
    routes = sorted({route for one in record["collections"].values() for route in one["peers"]})
    headings = ["collection (documents, queries)", *HEADINGS.values(), "verdicts without labels", *routes]
    rows = []
    for name, one in record["collections"].items():
        says = [run["probe_verdict"] for run in one["runs"]]
        rows.append(
            [
                f"{name} ({one['documents']:,}, {one['queries']:,})",
                *(f"{one['baselines'][column]:.3f}" for column in ("bm25", "start", "rrf")),
                *(_spread([run[column] for run in one["runs"]]) for column in ("adapted", "hybrid")),
                ", ".join(f"{says.count(use)} {use}" for use in ("adapted", "start") if use in says),
                *(f"{one['peers'][route]['value']:.3f}" if route in one["peers"] else "" for route in routes),
            ]
        )
    means = record["summary"]["means"]
    mean = [f"{means[column]:.3f}" if column in means else "" for column in (*HEADINGS, *routes)]
    rows.append(["mean", *mean[: len(HEADINGS)], "", *mean[len(HEADINGS) :]])
    return headings, rows


def _spread(values: list[float]) -> str:
    if len(values) == 1:
        return f"{values[0]:.3f}"
    return f"{median(values):.3f} ({min(values):.3f} to {max(values):.3f})"
