"""What the check of a published claim is: an experiment, pairs of arms, bounds, and the control that it must see."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal, get_args

from reknit.errors import ReknitError
from reknit.jobs.interrupt import StopRequest

Size = Literal["small", "large"]
"""small: for two cores. large: for one GPU."""

SIZES: tuple[Size, ...] = get_args(Size)

EVERY_MEASURE = "all"
"""In place of a measure's label: the mean of all that both arms have, without those of which less is better."""


@dataclass(frozen=True)
class Pair:
    """Two arms of an experiment and the measure they are compared by.

    first, second: arms as the experiment reads them. measure: a label of the experiment's values, or "all" for the mean
    of all measures. at_least: `first` should be better than `second` by this much. margin: with `no_worse`, how much
    worse `first` may be and the claim still hold.
    """

    first: str
    second: str
    measure: str = "all"
    at_least: float = 0.0
    margin: float = 0.0


@dataclass(frozen=True)
class Bound:
    """One arm's measure stays at or below a number: exactness, bytes, a ratio of seconds."""

    arm: str
    measure: str
    at_most: float


@dataclass(frozen=True)
class Outcome:
    """What one training of one arm gave.

    values: {measure: number}; None where the arm has no such measure. spent: {"tokens", "flops", "seconds"} as far as
    they are known. curve: points along the training.
    """

    values: dict[str, float | None]
    spent: dict[str, float] = field(default_factory=dict)
    curve: list[dict[str, float]] = field(default_factory=list)


class Experiment(ABC):
    """How arms are measured. Concrete experiments are frozen dataclasses, whose fields are their settings.

    needs: files and folders below the data folder. control: the pair whose difference is known and as large as the
    claims of this experiment need (trained against untrained, labels shuffled); where it is not seen, no verdict is
    given. A check may name another.
    """

    needs: ClassVar[tuple[str, ...]] = ()
    control: ClassVar[Pair | None] = None

    @abstractmethod
    def at(self, size: Size) -> Experiment:
        """The experiment as large as `size` says."""

    @abstractmethod
    def flops(self, arm: str) -> float:
        """About how many floating-point operations one training and measuring of the arm takes."""

    @abstractmethod
    def prepare(self, data: Path, folder: Path, arms: Sequence[str]) -> None:
        """Make in `folder` what all arms share and is not there yet. Raises ReknitError for an arm that cannot be."""

    @abstractmethod
    def run(self, arm: str, seed: int, data: Path, folder: Path, stop: StopRequest) -> Outcome:
        """One arm with one seed, in `folder` as `prepare` left it. Everything random follows from the seed."""

    def lower_is_better(self, measure: str) -> bool:
        """Whether smaller values of a measure are the better ones."""
        return False

    def inputs(self) -> tuple[str, ...]:
        """Files and folders below the data folder, where they depend on the settings; else `needs`."""
        return self.needs

    def controls(self, pairs: Sequence[Pair]) -> tuple[Pair, ...]:
        """The pairs that must be seen for a verdict on `pairs`, where the check names none; all of them must be.

        The first is the control that is printed. A further one is left out where its first arm's measure is None (no
        language model, so no loss of one). By default `control` alone.
        """
        return () if self.control is None else (self.control,)

    def spends(self) -> str:
        """What each training is given, such as "2Tflop"; "" where the settings say it."""
        return ""

    def with_budget(self, budget: str) -> Experiment:
        """The experiment with another budget for each training. Raises ReknitError where arms have no budget."""
        raise ReknitError(f"the arms of {type(self).__name__} have no budget to change: leave --budget out")

    def with_start(self, model: Path) -> Experiment:
        """The experiment with all arms starting from a trained model's folder. Raises ReknitError where they cannot."""
        raise ReknitError(f"{type(self).__name__} cannot start from a trained model: leave `start` out of the check")


Measured = Literal["claim", "part", "mechanism", "proxy"]
"""What a check is about: the paper's claim in miniature, a part of it, the mechanism that it rests on, or a proxy."""


@dataclass(frozen=True)
class ClaimCheck:
    """How a card's claim is measured here.

    experiment: how the arms are trained and measured; None for training objectives compared at equal budget. better:
    pairs of which the first arm should be better. no_worse: pairs of which the first may be worse by the pair's margin.
    bounds: measures that must stay at or below a number with every seed. control: the pair that must be seen, else no
    verdict is given; None for the experiment's own. measures: what a verdict would be about. second_arm: what is
    missing before the whole system counts as measured (an arm in another modality), if anything. seeds: trainings of
    each arm. start: the fixture that all arms start from (`reknit.research.fixtures`), or "" for none. needs: what the
    claim would need to be seen and this check lacks, if so. Raises ReknitError for a check that asks nothing.
    """

    experiment: Experiment | None = None
    better: tuple[Pair, ...] = ()
    no_worse: tuple[Pair, ...] = ()
    bounds: tuple[Bound, ...] = ()
    control: Pair | None = None
    measures: Measured = "claim"
    second_arm: str = ""
    seeds: int = 3
    start: str = ""
    needs: str = ""

    def __post_init__(self) -> None:
        if not self.pairs and not self.bounds:
            raise ReknitError("a check without a pair of arms or a bound measures nothing: add one")

    @property
    def pairs(self) -> tuple[Pair, ...]:
        """All pairs that the claim is about."""
        return self.better + self.no_worse
