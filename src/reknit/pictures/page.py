"""report.html of a run on pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from reknit.jobs.files import disk_full_explained, written_aside
from reknit.pictures import words
from reknit.pictures.result import PictureResult
from reknit.report import sections
from reknit.report.markup import fact_list, text, whole_page
from reknit.report.training_section import loss_curves, phases


def write_page(path: Path, result: PictureResult, metrics: list[dict[str, Any]], config: dict[str, Any]) -> None:
    """Write the page; it appears whole or not at all. metrics: the lines of metrics.jsonl. config: of config.json."""
    with disk_full_explained(str(path)), written_aside(path) as aside:
        aside.write_text(render_page(result, metrics, config), encoding="utf-8")


def render_page(result: PictureResult, metrics: list[dict[str, Any]], config: dict[str, Any]) -> str:
    """The page as text, without any outside resource."""
    headline, rest = words.headline(result)
    body = [
        f'<p class="kicker">reknit · {text(result.date[:10])} · start: {text(result.start)}</p>',
        f'<section class="verdict"><h1><strong>{text(headline)}:</strong> {text(rest)}</h1>'
        "<p><code>model/</code> holds the model at the end of training, ready to load.</p></section>",
        f"<h2>Training</h2>{fact_list(words.training_facts(result))}{phases(result.training, words.UNIT)}",
        loss_curves(metrics, words.UNIT),
        f"<h2>Pictures</h2>{fact_list(words.corpus_facts(result))}{_problems(result)}",
        f'<h2>Export check</h2><p class="quiet">{_CHECK}</p>{fact_list(words.export_facts(result))}',
        sections.machine(result.machine, result.versions, result.reknit_version),
        sections.repeat(result.command, result.seed, config),
    ]
    return whole_page(headline, body)


_CHECK = (
    "The exported folder was loaded again, by reknit and by transformers, and what it gives compared with the trained "
    "model: the largest difference of a dimension."
)


def _problems(result: PictureResult) -> str:
    problems = () if result.corpus is None else result.corpus.problems
    lines = "".join(f"<li>{text(problem, 300)}</li>" for problem in problems)
    summary = f"{len(problems)} of the files that could not be read"
    return f"<details><summary>{summary}</summary><ul>{lines}</ul></details>" if problems else ""
