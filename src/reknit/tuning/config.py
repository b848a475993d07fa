"""The setting of a `reknit tune` run as one typed value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from reknit import catalogue
from reknit.adapters.base import AdapterSpec
from reknit.adapters.low_rank import LoRASpec
from reknit.errors import ReknitError
from reknit.evaluation.fine_tuning import FineTuningSpec
from reknit.jobs.precision import PrecisionChoice
from reknit.ranges import InnerFraction, NonNegativeInt
from reknit.recipe import Method
from reknit.runs.config import with_overrides

VERB = "tune"
DEFAULT_METHOD = "lora"
_AROUND = 3.0  # the rates tried are so many times below and above the method's own


@dataclass(frozen=True)
class TuningConfig:
    """A model adapted to labelled texts by an adapter, and compared with a linear layer on the model as it is.

    Raises ReknitError where there would be nothing to learn from.
    """

    start: str
    """Folder, run folder or hub id of the model that is adapted."""
    labels: str
    """Tab-separated file with the columns label and text, or folder with train.tsv and test.tsv."""
    method: str = DEFAULT_METHOD
    """Name of the method in the catalogue."""
    part: AdapterSpec = field(default_factory=LoRASpec)
    """The adapter that the method is."""
    training: FineTuningSpec = field(default_factory=lambda: training_of(LoRASpec()))
    """How adapter and linear layer are trained; the learning rates are the method's own, a third of it and three times
    it.
    """
    test_fraction: InnerFraction = 0.25
    """Fraction of a single file's texts that are kept out of training and judge."""
    seed: NonNegativeInt = 0
    """Seed of everything random, and of the division of a single file."""
    precision: PrecisionChoice = "auto"
    """Number format of matrix products; auto is bfloat16 where the machine is fast at it."""

    def __post_init__(self) -> None:
        if self.training.texts < 1:
            raise ReknitError("training.texts is 0: there would be nothing to learn from")


def training_of(part: AdapterSpec) -> FineTuningSpec:
    """How an adapter is trained unless it is set."""
    rate = part.learning_rate
    return FineTuningSpec(
        texts=10_000,
        learning_rates=(rate / _AROUND, rate, rate * _AROUND),
        epochs=3,
        texts_per_batch=16,
        first_layer="probe",
    )


def configured(start: str, labels: str, method: str, settings: Sequence[str]) -> TuningConfig:
    """The configuration of a run by a method of the catalogue, changed by "a.b=c" settings.

    Raises ReknitError for an unknown method, with the nearest names, and for settings that cannot be.
    """
    part = adapter_of(catalogue.find_method(method, VERB))
    given = TuningConfig(start, labels, method, part, training_of(part))
    config = with_overrides(given, tuple(settings))
    for name in ("start", "labels", "method"):
        if getattr(config, name) != getattr(given, name):
            raise ReknitError(f"--set {name}: change it in the command itself")
    return config


def adapter_of(method: Method) -> AdapterSpec:
    """The adapter that a method is. Raises ReknitError for a method of another role."""
    if not isinstance(method.part, AdapterSpec):
        raise ReknitError(
            f"{method.card.name} is not an adapter but a {method.part.role}; reknit {VERB} does not run it yet"
        )
    return method.part
