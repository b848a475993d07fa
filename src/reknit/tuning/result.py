"""What a `reknit tune` run found, as one typed value: result.json is written from it and read into it."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any, ClassVar

from reknit.errors import ReknitError
from reknit.tuning.verdict import Verdict

KIND = "tuning"
PROBE, TUNED = "frozen probe", "tuned"


@dataclass(frozen=True)
class Arm:
    """What one way of using the labels reaches.

    accuracy: on the texts that judge, with its 95% interval. trained_weights: of the encoder or its adapter; the linear
    layer, which all have, is not counted. trained_fraction: of the encoder's weights. bytes: on disk, beside the
    start model and the linear layer. seconds: to train it, all learning rates together.
    """

    accuracy: float
    ci95: tuple[float, float]
    trained_weights: int
    trained_fraction: float
    bytes: int
    seconds: float


@dataclass(frozen=True)
class TuningResult:
    """labels: the place of the labelled texts. settings: the whole configuration. texts: how many were learnt from and
    how many judged. classes: how many labels. arms: by PROBE and TUNED. learning_rate: the one that was chosen.
    merges: whether `reknit export` can put the adapter into the weights. notes: what a reader should know besides."""

    VERSION: ClassVar[int] = 1

    reknit_version: str
    command: str
    date: str
    seed: int
    start: str
    labels: str
    method: str
    settings: dict[str, Any]
    texts: dict[str, int]
    classes: int
    arms: dict[str, Arm]
    learning_rate: float
    merges: bool
    verdict: Verdict
    notes: list[str] = field(default_factory=list)
    machine: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values, nothing rounded."""
        return {"kind": KIND, "version": self.VERSION, **_lists(dataclasses.asdict(self))}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> TuningResult:
        """What `to_json` wrote. Raises ReknitError for something else, or of another version."""
        if value.get("kind") != KIND or value.get("version") != cls.VERSION:
            raise ReknitError(
                f"this is not the result of `reknit tune` in version {cls.VERSION}: it says kind "
                f"{value.get('kind')!r}, version {value.get('version')!r}"
            )
        given = {name: item for name, item in value.items() if name not in ("kind", "version")}
        try:
            arms = {name: Arm(**arm | {"ci95": tuple(arm["ci95"])}) for name, arm in given["arms"].items()}
            verdict = Verdict(**given["verdict"] | {"ci95": tuple(given["verdict"]["ci95"])})
            return cls(**given | {"arms": arms, "verdict": verdict})
        except (AttributeError, KeyError, TypeError) as error:
            raise ReknitError(f"the result of `reknit tune` is damaged ({error!r})") from error


def _lists(value: Any) -> Any:
    """JSON has no tuples."""
    if isinstance(value, dict):
        return {name: _lists(item) for name, item in value.items()}
    return [_lists(item) for item in value] if isinstance(value, list | tuple) else value
