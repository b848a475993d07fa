"""From the lines of metrics.jsonl to curves: one axis of tokens for all phases, few points, nothing invented."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from reknit.runs.result import Training

POINTS = 200


@dataclass(frozen=True)
class Curve:
    """A curve over tokens.

    phase, name: what it shows. tokens, values: [n] the points. low, high: [n] the range of the values that each point
    is the mean of. samples: how many values went in. dropped: how many were not finite and are not drawn.
    """

    phase: str
    name: str
    tokens: np.ndarray
    values: np.ndarray
    low: np.ndarray
    high: np.ndarray
    samples: int
    dropped: int = 0


@dataclass(frozen=True)
class ProbePoint:
    """One retrieval probe during training: `scores` is {metric: value}."""

    phase: str
    step: int
    tokens: float
    scores: dict[str, float]


def timeline(metrics: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The log's lines with tokens that grow over all phases (in the log, each phase counts its own)."""
    ordered: list[dict[str, Any]] = []
    phase, offset = None, 0.0
    for line in metrics:
        if as_number(line.get("tokens")) is None or as_number(line.get("step")) is None:
            continue
        if line.get("phase") != phase:
            phase = line.get("phase")
            offset = ordered[-1]["tokens"] if ordered else 0.0
        ordered.append({**line, "tokens": line["tokens"] + offset})
    return ordered


def phase_starts(metrics: list[dict[str, Any]]) -> list[float]:
    """Where on the axis of tokens each phase after the first begins."""
    lines = timeline(metrics)
    return [a["tokens"] for a, b in pairwise(lines) if a.get("phase") != b.get("phase")]


def loss_curves(metrics: list[dict[str, Any]], points: int = POINTS) -> list[Curve]:
    """One curve for each phase and named loss; the sum besides where a phase has several losses."""
    raw: dict[tuple[str, str], list[tuple[float, Any]]] = {}
    for line in timeline(metrics):
        losses = line.get("losses") or {}
        named = dict(losses)
        if "loss" in line and len(losses) != 1:
            named = {"loss": line["loss"], **losses}
        for name, value in named.items():
            raw.setdefault((str(line.get("phase", "")), name), []).append((line["tokens"], value))
    return [curve for key, samples in raw.items() if (curve := _curve(*key, samples, points)) is not None]


def _curve(phase: str, name: str, samples: list[tuple[float, Any]], points: int) -> Curve | None:
    finite = [(tokens, number) for tokens, value in samples if (number := as_number(value)) is not None]
    if not finite:
        return None
    tokens, values = np.array(finite).T
    return Curve(phase, name, *thin_out(tokens, values, points), len(finite), len(samples) - len(finite))


def thin_out(
    tokens: np.ndarray, values: np.ndarray, points: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Means over at most `points` runs of neighbouring samples.

    Returns tokens (mean), values (mean), lowest and highest value of each run, [n] each.
    """
    runs = np.array_split(np.arange(len(values)), min(points, len(values)))
    mean_tokens = np.array([tokens[run].mean() for run in runs])
    means = np.array([values[run].mean() for run in runs])
    low = np.array([values[run].min() for run in runs])
    high = np.array([values[run].max() for run in runs])
    return mean_tokens, means, low, high


def probe_points(metrics: list[dict[str, Any]]) -> list[ProbePoint]:
    """The probes of a run in order; scores that are not finite are left out."""
    found = []
    for line in timeline(metrics):
        values = (line.get("probe") or {}).items()
        scores = {name: number for name, value in values if (number := as_number(value)) is not None}
        if scores:
            found.append(ProbePoint(str(line.get("phase", "")), int(line["step"]), line["tokens"], scores))
    return found


def kept_point(points: list[ProbePoint], training: Training, metric: str) -> ProbePoint | None:
    """The probe of the checkpoint that the run ended with; None when that is the start model or nothing is known.

    It is the `best_step` of the last phase, where that phase ended with its best weights and not with its last ones.
    """
    if not training.phases or not training.phases[-1].kept_best:
        return None
    last = training.phases[-1]
    candidates = [p for p in points if p.step == last.best_step and metric in p.scores and p.phase == last.name]
    return candidates[-1] if candidates else None


def as_number(value: Any) -> float | None:
    """A logged value as a finite float; None for anything else (missing, not a number, infinite)."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) else None
