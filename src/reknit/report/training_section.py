"""The part of report.html on training: what was spent, how the probe went, how each loss fell."""

from __future__ import annotations

from typing import Any

import numpy as np

from reknit.jobs.progress import format_duration
from reknit.report import curves, facts, plots
from reknit.report.markup import charts, fact_list, table, text
from reknit.runs.result import RunResult, Training


def training(result: RunResult, metrics: list[dict[str, Any]]) -> str:
    """The budget spent, the phases, and the curves of the probe and of each loss."""
    if not result.training.phases:
        return "<h2>Training</h2><p>Nothing was trained in this run.</p>"
    spent = fact_list(facts.training_facts(result)) + phases(result.training)
    return f"<h2>Training</h2>{spent}{_probe_curve(result, metrics)}{loss_curves(metrics)}"


def phases(training: Training, unit: str = "tokens") -> str:
    """The table of the phases. unit: what a row of a batch is called."""
    rows = []
    for phase in training.phases:
        cells = [
            text(phase.name, 80),
            text(phase.recipe, 80),
            f"{phase.steps:,}",
            f"{phase.tokens:,}",
            format_duration(phase.seconds),
            text(phase.stopped_because, 200),
        ]
        rows.append("<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
    return table(("phase", "recipe", "steps", unit, "time", "stopped because"), rows)


def _probe_curve(result: RunResult, metrics: list[dict[str, Any]]) -> str:
    points = curves.probe_points(metrics)
    if not points:
        return ""
    metric = next((name for name in facts.METRICS if name in points[0].scores), next(iter(points[0].scores)))
    points = [point for point in points if metric in point.scores]
    kept = curves.kept_point(points, result.training, metric)
    tokens, values = np.array([(point.tokens, point.scores[metric]) for point in points]).T
    title = f"{metric} of the probe"
    starts = curves.phase_starts(metrics)
    picture = plots.curve_chart(
        tokens,
        values,
        title=title,
        points=len(points) <= 60,
        kept=None if kept is None else (kept.tokens, kept.scores[metric]),
        parts=starts,
        span=(0.0, float(tokens[-1])) if tokens[-1] > 0 else None,
    )
    remarks = ["dotted line: a new phase"] if starts else []
    if kept is not None:
        remarks.append(
            f"ring: the checkpoint that was kept, step {kept.step:,} of {kept.phase}, {kept.scores[metric]:.3f}"
        )
    note = f"While training goes on, held-out queries search a part of the corpus. {_probe_use(result)}"
    return f'<h3>Probe</h3><p class="quiet">{note}</p>{charts([(title, "; ".join(remarks), picture)])}'


def _probe_use(result: RunResult) -> str:
    probe = result.corpus.probe if result.corpus else None
    if probe is None or probe.judged_by_all is None:
        return ""
    if not result.evaluations:
        return "No checkpoint is chosen by this." if probe.judged_by_all else "This chooses the checkpoint."
    if probe.judged_by_all:
        return "No checkpoint is chosen by this, and the results above are measured on the whole."
    return "This chooses the checkpoint; the results above are measured on other queries."


def loss_curves(metrics: list[dict[str, Any]], unit: str = "tokens") -> str:
    """A chart for each loss of each phase. metrics: the lines of metrics.jsonl. unit: what a token is called."""
    figures = []
    for curve in curves.loss_curves(metrics):
        per_point = -(-curve.samples // len(curve.values))
        remark = f"{curve.phase}, last {curve.values[-1]:.4g}"
        remark += f"; mean and range of {per_point:,} steps a point" if per_point > 1 else ""
        remark += f"; {curve.dropped:,} steps without a finite value" if curve.dropped else ""
        band = (curve.low, curve.high) if per_point > 1 else None
        title = f"{curve.name}, {curve.phase}"
        picture = plots.curve_chart(curve.tokens, curve.values, title=title, band=band, unit=unit)
        figures.append((curve.name, remark, picture))
    return f"<h3>Losses</h3>{charts(figures)}" if figures else ""
