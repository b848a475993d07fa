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
from reknit.recipe import Method
from reknit.runs.config import with_overrides

VERB = "tune"
DEFAULT_METHOD = "lora"
_AROUND = 3.0  # the rates tried are so many times below and above the method's own


@dataclass(frozen=True)
class TuningConfig:
    """start, labels: as given. method, part: how the model is adapted. training: how; its learning rates are the
    method's own, a third of it and three times it. test_fraction: of a single file, the texts that are kept out of
    training and judge."""

    start: str
    labels: str
    method: str = DEFAULT_METHOD
    part: AdapterSpec = field(default_factory=LoRASpec)
    training: FineTuningSpec = field(default_factory=lambda: training_of(LoRASpec()))
    test_fraction: float = 0.25
    seed: int = 0
    precision: PrecisionChoice = "auto"

    def __post_init__(self) -> None:
        if not 0.0 < self.test_fraction < 1.0:
            raise ReknitError(f"test_fraction is {self.test_fraction}: it must be above 0 and below 1")
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
    return with_overrides(TuningConfig(start, labels, method, part, training_of(part)), tuple(settings))


def adapter_of(method: Method) -> AdapterSpec:
    """The adapter that a method is. Raises ReknitError for a method of another role."""
    if not isinstance(method.part, AdapterSpec):
        raise ReknitError(
            f"{method.card.name} is no adapter but a {method.part.role}; reknit {VERB} does not run it yet"
        )
    return method.part
