"""What measuring claims would take, without training anything."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

from rich.console import Console
from rich.table import Table

from reknit.report.table import print_whole
from reknit.research.claims import Plan, measured_alike
from reknit.research.rate import training_rate


@dataclass(frozen=True)
class Forecast:
    """arms, seeds: of one claim, in all `trainings`. flops: of all trainings. minutes: at the measured rate."""

    name: str
    arms: int
    seeds: int
    trainings: int
    flops: float
    minutes: float


def forecast(plans: Sequence[Plan]) -> list[Forecast]:
    """One for each claim, and one ("all") for them together, in which a training that claims share counts once."""
    rate = training_rate()

    def summed(name: str, members: Sequence[Plan]) -> Forecast:
        trainings, flops = 0, 0.0
        for alike in measured_alike(members).values():
            jobs = dict.fromkeys(chain.from_iterable(plan.jobs for plan in alike))
            trainings += len(jobs)
            flops += sum(alike[0].experiment.flops(job.arm) for job in jobs)
        arms = len({arm for plan in members for arm in plan.arms})
        return Forecast(name, arms, max(plan.seeds for plan in members), trainings, flops, flops / rate / 60)

    return [*(summed(plan.name, [plan]) for plan in plans), *([summed("all", plans)] if len(plans) > 1 else [])]


def show_forecast(plans: Sequence[Plan], console: Console) -> None:
    """Print the forecast of the plans."""
    table = Table("claim", "arms x seeds", "trainings", "FLOPs", "minutes")
    for line in forecast(plans):
        size = f"{line.arms} x {line.seeds}"
        table.add_row(line.name, size, str(line.trainings), f"{line.flops:.2e}", f"{line.minutes:.1f}")
    print_whole(table, console)
    print_whole(
        f"Minutes are of trainings one after another at {training_rate():.2e} FLOP/s, which small training steps "
        "reached on this machine just now; preparing the data and measuring come on top.",
        console,
    )
    if fixtures := sorted({plan.check.start for plan in plans if plan.check.start}):
        print_whole(f"Trained first where they are not in the cache: {', '.join(fixtures)}.", console)
