"""An experiment that trains nothing: every arm's value is its planted effect and noise of its seed."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from reknit.claim import Bound, ClaimCheck, Experiment, Outcome, Pair, Size
from reknit.errors import ReknitError
from reknit.jobs.interrupt import StopRequest
from reknit.recipe import Card, System


@dataclass(frozen=True)
class ToyExperiment(Experiment):
    """Arms are written "EFFECT" or "NAME=EFFECT". score: effect + noise. cost: 10 - effect, the lower the better.
    error: 0 with every seed. other: only of arms that have a name. truth: the line of `toy.txt` below the data folder.

    noise: standard deviation of what a seed adds to every arm alike, and a tenth of it of what it adds to each. hangs:
    an arm that is never done.
    """

    needs = ("toy.txt",)
    control = Pair("trained=1", "0", "score")

    noise: float = 0.1
    scale: float = 1.0
    hangs: str = ""

    def at(self, size: Size) -> ToyExperiment:
        return replace(self, scale=1.0 if size == "small" else 2.0)

    def flops(self, arm: str) -> float:
        _effect(arm)
        return 1e9 * self.scale

    def prepare(self, data: Path, folder: Path, arms: Sequence[str]) -> None:
        for arm in arms:
            _effect(arm)
        (folder / "truth.txt").write_text((data / "toy.txt").read_text())

    def run(self, arm: str, seed: int, data: Path, folder: Path, stop: StopRequest) -> Outcome:
        with (folder / "calls.txt").open("a") as calls:
            calls.write(f"{arm} {seed}\n")
        while arm == self.hangs:
            time.sleep(0.05)
        shared, own = np.random.default_rng([seed, 0]).normal(), np.random.default_rng([seed, len(arm)]).normal()
        score = self.scale * _effect(arm) + self.noise * shared + self.noise / 10 * own
        values: dict[str, float | None] = {"score": score, "cost": 10.0 - score, "error": 0.0}
        values["other"] = score if "=" in arm else None
        assert (folder / "truth.txt").read_text() == "truth"
        return Outcome(values, {"tokens": 10.0, "seconds": 0.1}, [{"tokens": 5.0, "score": score / 2}])

    def lower_is_better(self, measure: str) -> bool:
        return measure in ("cost", "error")


def toy_system(check: ClaimCheck | None, name: str = "toy") -> System:
    """A plain system with this check."""
    card = Card(
        name=name,
        title="A toy",
        year=2026,
        family="toy",
        paper="none",
        adds="Nothing.",
        facts="None.",
        claim="More is more.",
        citation="none",
        capability="compare",
    )
    return System(card=card, check=check)


def toy_data(folder: Path) -> Path:
    """A data folder with what the experiment needs."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "toy.txt").write_text("truth")
    return folder


def calls(folder: Path) -> list[str]:
    """What was run, in order, below the folder of some experiments."""
    return [line for file in sorted(folder.rglob("calls.txt")) for line in file.read_text().splitlines()]


def _effect(arm: str) -> float:
    try:
        return float(arm.rpartition("=")[2])
    except ValueError:
        raise ReknitError(f"the toy has no arm {arm!r}") from None


CHECK = ClaimCheck(
    experiment=ToyExperiment(),
    better=(Pair("0.9", "0.5", "score"), Pair("0.9", "0.5", "cost", at_least=0.1)),
    no_worse=(Pair("0.5", "0.52", "score", margin=0.3),),
    bounds=(Bound("0.9", "error", 1e-5),),
    measures="mechanism",
    needs="A larger toy.",
)
