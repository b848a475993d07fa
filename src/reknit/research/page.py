"""report.html of a comparison: the tables, and quality against what was spent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from reknit.jobs.files import disk_full_explained, written_aside
from reknit.report.markup import charts, fact_list, table, text, whole_page
from reknit.report.plots import Series, curves_chart
from reknit.research.table import explanation, ranked, tables

_UNITS = (("flops", "FLOPs"), ("tokens", "tokens"))


def write_page(path: Path, result: dict[str, Any]) -> None:
    """Write the page; it appears whole or not at all. result: what `compare` returns."""
    with disk_full_explained(str(path)), written_aside(path) as aside:
        aside.write_text(render_page(result), encoding="utf-8")


def render_page(result: dict[str, Any]) -> str:
    """The page as text, without any outside resource."""
    order = ranked(result)
    about = f"{result['date'][:10]} · {result['seeds']} seeds · {len(order)} objectives"
    body = [
        f'<p class="kicker">reknit compare · {text(about)}</p>',
        f'<section class="verdict"><h1><strong>{text(order[0])}</strong> has the best mean rank</h1>'
        f"<p>{text(explanation(result))}</p></section>",
    ]
    for title, headings, rows in tables(result):
        cells = [
            f"<tr><th>{text(row[0])}</th>{''.join(f'<td>{_cell(cell)}</td>' for cell in row[1:])}</tr>" for row in rows
        ]
        body += [f"<h2>{text(title)}</h2>", table([text(heading) for heading in headings], cells, "scores")]
    body += [
        "<h2>Quality against compute</h2>",
        '<p class="quiet">nDCG@10 of the probe cut from the corpus itself, during training and before any tuning; the '
        "mean over the seeds.</p>",
        charts(
            [
                ("By FLOPs", "", _chart(result, order, "flops", "FLOPs")),
                ("By tokens", "", _chart(result, order, "tokens", "tokens")),
            ]
        ),
        "<h2>How it was made</h2>",
        fact_list(
            [
                ("corpus", f"{result['config']['corpus']}, {result['corpus']['words']:,} words"),
                ("machine", f"{result['machine']['processor']}, {result['machine']['cores']} cores"),
                ("torch", str(result["versions"]["torch"])),
            ]
        ),
        f"<p><code>{text(result['command'])}</code></p>",
    ]
    return whole_page("Objectives compared", body)


def _cell(shown: str) -> str:
    value, bracket, rest = shown.partition(" [")
    return f"{text(value)}<small>{text(bracket.strip() + rest)}</small>" if bracket else text(shown)


def _chart(result: dict[str, Any], order: list[str], unit: str, label: str) -> str:
    series = []
    for name in order:
        curves = [run["curve"] for run in result["runs"] if run["arm"] == name]
        points = min(len(curve) for curve in curves)
        if points:
            spent = np.mean([[point[unit] for point in curve[:points]] for curve in curves], axis=0)
            reached = np.mean([[point["nDCG@10"] for point in curve[:points]] for curve in curves], axis=0)
            series.append(Series(name, spent, reached))
    return curves_chart(series, title=f"Probe against {label}", unit=label) if series else ""
