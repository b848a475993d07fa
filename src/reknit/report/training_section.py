"""The part of report.html on training: what was spent, how the probe went, how each loss fell."""

from __future__ import annotations

from typing import Any

import numpy as np

from reknit.jobs.progress import format_duration
from reknit.report import curves, facts, plots
from reknit.report.facts import Result
from reknit.report.markup import charts, fact_list, table, text


def training(result: Result, metrics: list[dict[str, Any]]) -> str:
    """The budget spent, the phases, and the curves of the probe and of each loss."""
    if not facts.training_phases(result) and not metrics:
        return "<h2>Training</h2><p>Nothing was trained in this run.</p>"
    spent = fact_list(facts.training_facts(result)) + _phases(result)
    return f"<h2>Training</h2>{spent}{_probe_curve(result, metrics)}{_loss_curves(metrics)}"


def _phases(result: Result) -> str:
    rows = []
    for phase in facts.training_phases(result):
        seconds = facts.as_number(phase.get("seconds"))
        cells = [
            text(phase.get("name", ""), 80),
            text(phase.get("recipe", ""), 80),
            *(f"{phase[key]:,}" if isinstance(phase.get(key), int) else "–" for key in ("steps", "tokens")),
            "–" if seconds is None else format_duration(seconds),
            text(phase.get("stopped_because", ""), 200),
        ]
        rows.append("<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
    return table(("phase", "recipe", "steps", "tokens", "time", "stopped because"), rows) if rows else ""


def _probe_curve(result: Result, metrics: list[dict[str, Any]]) -> str:
    points = curves.probe_points(metrics)
    if not points:
        return ""
    metric = next((name for name in facts.METRICS if name in points[0].scores), next(iter(points[0].scores)))
    points = [point for point in points if metric in point.scores]
    kept = curves.kept_point(points, facts.part(result, "training"), metric)
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
    use = "This chooses the checkpoint; the results above are measured on other queries."
    if facts.judged_by_all(result):
        use = "No checkpoint is chosen by this, and the results above are measured on the whole."
    note = f"While training goes on, held-out queries search a part of the corpus. {use}"
    return f'<h3>Probe</h3><p class="quiet">{note}</p>{charts([(title, "; ".join(remarks), picture)])}'


def _loss_curves(metrics: list[dict[str, Any]]) -> str:
    figures = []
    for curve in curves.loss_curves(metrics):
        per_point = -(-curve.samples // len(curve.values))
        remark = f"{curve.phase}, last {curve.values[-1]:.4g}"
        remark += f"; mean and range of {per_point:,} steps a point" if per_point > 1 else ""
        remark += f"; {curve.dropped:,} steps without a finite value" if curve.dropped else ""
        band = (curve.low, curve.high) if per_point > 1 else None
        picture = plots.curve_chart(curve.tokens, curve.values, title=f"{curve.name}, {curve.phase}", band=band)
        figures.append((curve.name, remark, picture))
    return f"<h3>Losses</h3>{charts(figures)}" if figures else ""
