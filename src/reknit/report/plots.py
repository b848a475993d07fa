"""Small pictures as inline SVG, drawn by hand: their colours are the page's, so that they suit a light and a dark one.

Each function returns SVG text that refers to nothing outside the page. Classes (`grid`, `curve`, `band`, `kept`, ...)
are coloured by the style sheet in page.html.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from reknit.report.facts import format_tokens
from reknit.report.markup import text

WIDTH, HEIGHT = 360, 210
LEFT, RIGHT, TOP, BOTTOM = 44, 12, 12, 34


def nice_ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Round numbers (1, 2 or 5 times a power of ten apart) within [low, high], about `count` of them.

    Source: the loose labelling of P. Heckbert, "Nice numbers for graph labels", Graphics Gems (1990).
    """
    if not high > low:
        return [low]
    raw = (high - low) / count
    power = 10.0 ** math.floor(math.log10(raw))
    step = min((power * factor for factor in (1, 2, 5, 10)), key=lambda s: abs(math.log(s / raw)))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(i * step, 12) + 0.0 for i in range(first, last + 1)]


def curve_chart(
    tokens: np.ndarray,
    values: np.ndarray,
    *,
    title: str,
    band: tuple[np.ndarray, np.ndarray] | None = None,
    points: bool = False,
    kept: tuple[float, float] | None = None,
    parts: Sequence[float] = (),
    span: tuple[float, float] | None = None,
    unit: str = "tokens",
) -> str:
    """One curve over tokens.

    tokens, values: [n] its points. title: read out by screen readers. band: [n] lowest and highest value behind the
    curve. points: mark each one. kept: (tokens, value) to ring. parts: tokens where a new phase begins, drawn as
    vertical lines. span: the tokens that the axis covers; those of the curve when None. unit: what
    a token is called.
    """
    left, right = span or (float(tokens[0]), float(tokens[-1]))
    if right <= left:
        left, right = left - 0.5 * max(1.0, abs(left)), right + 0.5 * max(1.0, abs(right))
    low, high = _padded(values if band is None else np.concatenate([values, np.percentile(band, [2, 98])]))

    def x(value: float) -> float:
        return LEFT + (value - left) / (right - left) * (WIDTH - LEFT - RIGHT)

    def y(value: float) -> float:
        shown = min(max(value, low), high)
        return HEIGHT - BOTTOM - (shown - low) / (high - low) * (HEIGHT - TOP - BOTTOM)

    drawn = [_horizontal_grid(nice_ticks(low, high, 4), y), _axis(nice_ticks(left, right, 4), x, unit)]
    drawn += [_line("phase", x(t), TOP, x(t), HEIGHT - BOTTOM) for t in parts if left < t < right]
    if band is not None and len(tokens) > 1:
        upper = [(x(t), y(v)) for t, v in zip(tokens, band[1], strict=True)]
        lower = [(x(t), y(v)) for t, v in zip(tokens, band[0], strict=True)]
        drawn.append(f'<path class="band" d="{_path(upper + lower[::-1])}Z"/>')
    places = [(x(t), y(v)) for t, v in zip(tokens, values, strict=True)]
    drawn.append(f'<path class="curve" d="{_path(places)}"/>')
    if points or len(places) == 1:
        drawn += [f'<circle class="point" cx="{px:.1f}" cy="{py:.1f}" r="3"/>' for px, py in places]
    if kept is not None:
        drawn.append(_line("kept", x(kept[0]), TOP, x(kept[0]), HEIGHT - BOTTOM))
        drawn.append(f'<circle class="ring" cx="{x(kept[0]):.1f}" cy="{y(kept[1]):.1f}" r="6"/>')
    name = text(title)
    return (
        f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{name}">'
        f"<title>{name}</title>{''.join(drawn)}</svg>"
    )


@dataclass(frozen=True)
class Series:
    """One of several curves in a chart. places, values: [n] its points."""

    name: str
    places: np.ndarray
    values: np.ndarray


def curves_chart(series: Sequence[Series], *, title: str, unit: str) -> str:
    """Several curves over one axis from 0, each in a colour of its own, and what they are called.

    title: read out by screen readers. unit: of the axis.
    """
    right = max(float(one.places.max()) for one in series) or 1.0
    low, high = _padded(np.concatenate([one.values for one in series]))

    def x(value: float) -> float:
        return LEFT + value / right * (WIDTH - LEFT - RIGHT)

    def y(value: float) -> float:
        return HEIGHT - BOTTOM - (value - low) / (high - low) * (HEIGHT - TOP - BOTTOM)

    drawn = [_horizontal_grid(nice_ticks(low, high, 4), y), _axis(nice_ticks(0, right, 4), x, unit)]
    names = []
    for number, one in enumerate(series):
        # Neighbours in the list lie far apart on the circle of hues.
        colour = f"hsl({number * 137.5 % 360:.0f} 65% 50%)"
        places = [(x(place), y(value)) for place, value in zip(one.places, one.values, strict=True)]
        drawn.append(f'<path class="curve" style="stroke:{colour}" d="{_path(places)}"/>')
        drawn += [f'<circle style="fill:{colour}" cx="{px:.1f}" cy="{py:.1f}" r="2.5"/>' for px, py in places]
        names.append(f'<li><span style="background:{colour}"></span>{text(one.name, 60)}</li>')
    name = text(title)
    return (
        f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{name}">'
        f'<title>{name}</title>{"".join(drawn)}</svg><ul class="legend">{"".join(names)}</ul>'
    )


def interval_bar(value: float, bounds: tuple[float, float] | None, scale: float, kind: str) -> str:
    """A bar from 0 to `value` with its interval as a whisker, on an axis that ends at `scale`; as wide as its box.

    kind: a class of the style sheet ("plain" or "chosen").
    """

    def at(number: float) -> str:
        return f"{100 * min(max(number / scale, 0.0), 1.0):.2f}%"

    whisker = ""
    if bounds is not None:
        ends = "".join(f'<line x1="{at(end)}" x2="{at(end)}" y1="4" y2="14"/>' for end in bounds)
        whisker = f'<g class="whisker"><line x1="{at(bounds[0])}" x2="{at(bounds[1])}" y1="9" y2="9"/>{ends}</g>'
    return (
        f'<svg class="bar" height="18" aria-hidden="true"><line class="base" x1="0" x2="100%" y1="9" y2="9"/>'
        f'<rect class="{kind}" y="3" height="12" rx="2" width="{at(value)}"/>{whisker}</svg>'
    )


def _padded(values: np.ndarray) -> tuple[float, float]:
    """The range of the values and a little more, never empty."""
    low, high = float(values.min()), float(values.max())
    margin = 0.06 * (high - low) or 0.05 * abs(high) or 0.5
    return low - margin, high + margin


def _path(places: list[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in places)


def _line(kind: str, x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def _horizontal_grid(ticks: list[float], y: Callable[[float], float]) -> str:
    parts = []
    for tick in ticks:
        parts.append(_line("grid", LEFT, y(tick), WIDTH - RIGHT, y(tick)))
        parts.append(f'<text x="{LEFT - 6}" y="{y(tick) + 3.5:.1f}" text-anchor="end">{tick:g}</text>')
    return "".join(parts)


def _axis(ticks: list[float], x: Callable[[float], float], unit: str) -> str:
    parts = [_line("axis", LEFT, HEIGHT - BOTTOM, WIDTH - RIGHT, HEIGHT - BOTTOM)]
    for tick in ticks:
        label = format_tokens(tick)
        parts.append(f'<text x="{x(tick):.1f}" y="{HEIGHT - BOTTOM + 14}" text-anchor="middle">{label}</text>')
    parts.append(f'<text x="{WIDTH - RIGHT}" y="{HEIGHT - 5}" text-anchor="end">{text(unit)}</text>')
    return "".join(parts)
