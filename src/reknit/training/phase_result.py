"""What one phase of a training did, as checkpoints and results keep it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class PhaseResult:
    """What a phase did. `steps` counts the skipped ones too; `seconds` holds the probes as well; `best_value` is None
    when no probe ran; `kept_best` says whether the phase ended with the weights of `best_step` or the last ones;
    `waiting_share` is the share of the steps' time in which training stood still for the next batch (of rank 0,
    where several processes train). The last two have their defaults in results from before they were written."""

    name: str
    steps: int
    skipped: int
    tokens: int
    flops: float
    seconds: float
    stopped_because: str
    best_step: int | None
    best_value: float | None
    kept_best: bool = False
    waiting_share: float | None = None
