"""A row of a benchmark: what was compared, the figures, and whether the target was met."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any

from reknit.bench.contest import Turns, ratios


@dataclass(frozen=True)
class Side:
    """One contestant's figures over its turns, in the row's unit. share: of the machine's measured matrix rate."""

    name: str
    precision: str
    median: float
    least: float
    most: float
    peak_rss_mb: float | None = None
    teraflops: float | None = None
    share: float | None = None
    details: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Row:
    """job, work: what was done. unit: of the figures. ratio: ours over theirs pair by pair, {"median", "least",
    "most"}. target: the ratio that reknit means to reach; `lower` when a smaller ratio is better (latency). theirs is
    None where nothing is compared, and then `ratio` is empty and the target is for our own figure."""

    job: str
    work: str
    unit: str
    ours: Side
    theirs: Side | None
    ratio: dict[str, float]
    target: float | None = None
    lower: bool = False
    notes: dict[str, Any] = field(default_factory=dict)

    @property
    def met(self) -> bool | None:
        """Whether the median reaches the target; None without a target."""
        if self.target is None:
            return None
        value = self.ratio["median"] if self.ratio else self.ours.median
        return value <= self.target if self.lower else value >= self.target

    def to_json(self) -> dict[str, Any]:
        """A JSON object."""
        return asdict(self) | {"met": self.met}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Row:
        """The row that `to_json` wrote."""
        fields = {name: field for name, field in value.items() if name != "met"}
        sides = {name: side and Side(**side) for name, side in value.items() if name in ("ours", "theirs")}
        return cls(**{**fields, **sides})


def side(turns: Turns, unit: str, flops_per_unit: float | None = None, peak: float | None = None) -> Side:
    """The figures of one contestant.

    flops_per_unit: matrix-product FLOPs of one unit. peak: FLOP/s that the machine reaches in the precision.
    """
    rates = turns.rates(unit)
    speed = None if flops_per_unit is None else flops_per_unit * median(rates)
    return Side(
        name=turns.contestant.name,
        precision=turns.contestant.precision,
        median=median(rates),
        least=min(rates),
        most=max(rates),
        peak_rss_mb=turns.peak_rss_mb,
        teraflops=None if speed is None else speed / 1e12,
        share=None if speed is None or peak is None else speed / peak,
        details={key: value for key, value in turns.ready.items() if key == "batch_size"},
    )


def compared(
    job: str, work: str, ours: Turns, theirs: Turns, *, unit: str, target: float | None = None, **notes: Any
) -> Row:
    """A row of two contestants' turns."""
    pairs = ratios(ours, theirs, unit)
    return Row(job, work, f"{unit}/s", side(ours, unit), side(theirs, unit), pairs, target, notes=notes)
