"""What the check of a published claim is: an experiment, pairs of arms, bounds, and the control that it must see."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal

from reknit.jobs.interrupt import StopRequest

Size = Literal["small", "large"]
"""small: for two cores. large: for one GPU."""


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


@dataclass(frozen=True)
class ClaimSize:
    """How large the trainings of a claim are: the budget of each, and `a.b=c` settings of the comparison."""

    budget: str
    settings: tuple[str, ...]


CLAIM_SIZES = {
    # Three arms with three seeds end in 15 minutes on two cores.
    "small": ClaimSize(
        "2Tflop",
        (
            "corpus_share=0.1",
            "encoder.dim=128",
            "encoder.depth=3",
            "encoder.heads=2",
            "encoder.intermediate=512",
            "encoder.vocabulary=8000",
            "tuning_budget.tokens=200000",
            "curve_points=4",
        ),
    ),
    # Each claim within ten minutes on a GPU such as the H100, with three seeds.
    "large": ClaimSize(
        "40Tflop",
        (
            "corpus_share=0.2",
            "tokens_per_batch=8192",
            "encoder.dim=256",
            "encoder.depth=4",
            "encoder.heads=4",
            "encoder.intermediate=1024",
            "encoder.vocabulary=8000",
            "tuning_budget.tokens=300000",
            "curve_points=4",
        ),
    ),
}


@dataclass(frozen=True)
class ClaimCheck:
    """How a card's claim is measured here, small: by a comparison, as `reknit compare` makes it.

    better: (arm, other arm) pairs, arms as `reknit compare` reads them: the first is expected to be better than the
    second. no_worse: pairs of which the first may be worse by `margin` and the claim still holds. metric: a measure's
    label, or "all" for the mean of all measures. corpus, eval: below the data folder. settings: `a.b=c` changes to the
    comparison, on top of those of the size (CLAIM_SIZES). needs: what the claim would need to be seen and this check
    lacks, if so.
    """

    better: tuple[tuple[str, str], ...] = ()
    no_worse: tuple[tuple[str, str], ...] = ()
    margin: float = 0.005
    metric: str = "all"
    corpus: str = "text/mix_en.jsonl.zst"
    eval: tuple[str, ...] = ("cls/banking77", "sts/stsb_en", "retrieval/cranfield")
    settings: tuple[str, ...] = ()
    needs: str = ""
