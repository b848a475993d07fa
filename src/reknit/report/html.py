"""report.html: one page without any outside resource that says what to do with the model, and why."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from reknit.jobs.files import disk_full_explained, written_aside
from reknit.report import facts, sections
from reknit.report.markup import text, whole_page
from reknit.report.training_section import training
from reknit.runs.result import RunResult


def render_report(result: RunResult, metrics: list[dict[str, Any]], config: dict[str, Any]) -> str:
    """The page as text. See `write_report`."""
    about = ["reknit", facts.date_text(result), facts.start_name(result) and f"start: {facts.start_name(result)}"]
    body = [
        f'<p class="kicker">{" · ".join(text(part, 300) for part in about if part)}</p>',
        sections.verdict(result),
        sections.results(result),
        sections.searches(result),
        training(result, metrics),
        sections.corpus(result),
        sections.export(result),
        sections.machine(result.machine, result.versions, result.reknit_version),
        sections.repeat(result.command, result.seed, config),
    ]
    return whole_page(facts.headline(result), body)


def write_report(path: Path, result: RunResult, metrics: list[dict[str, Any]], config: dict[str, Any]) -> None:
    """Write a run's report.

    path: the file to write; it appears whole or not at all. metrics: the lines of metrics.jsonl, however many. config:
    what config.json holds, shown as it is. The page has inline styles and pictures only, follows the reader's light or
    dark setting, runs no script, and shows all text that comes from the corpus escaped. Raises ReknitError when the
    disk is full.
    """
    page = render_report(result, metrics, config)
    with disk_full_explained(str(path)), written_aside(Path(path)) as aside:
        aside.write_text(page, encoding="utf-8")
