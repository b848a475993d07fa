"""Ways of tuning a model on few labels, side by side: what claims about adapters are measured by."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, get_args

from reknit.claim import Experiment, Outcome, Pair, Size
from reknit.errors import ReknitError
from reknit.jobs.interrupt import StopRequest
from reknit.research.minilm import minilm
from reknit.research.tuning.labels import Labels

# What reads data and trains is imported where it is used: the catalogue imports this file.
if TYPE_CHECKING:
    from reknit.adapters.base import AdapterSpec
    from reknit.evaluation.classification import ClassificationSet
    from reknit.evaluation.fine_tuning import Classifier
    from reknit.models.embedding_model import EmbeddingModel

PROBE, FULL = "probe", "full"
ACCURACY, TRAINED, BYTES, MEMORY, SECONDS = "accuracy", "trained %", "adapter kB", "training MB", "seconds"
_TOKENS = 16  # of a text of banking77, special tokens included
_MATRICES = 10_600_000  # weights that each token is multiplied by, of all-MiniLM-L6-v2


@dataclass(frozen=True)
class Arm:
    """name: PROBE, FULL (all weights) or a method of `reknit tune`. settings: "part.a=b" changes to the method. labels:
    what is done to the labels."""

    name: str
    settings: tuple[str, ...] = ()
    labels: Labels = "all"


@dataclass(frozen=True)
class TuningExperiment(Experiment):
    """One model tuned on the same few labelled texts by every arm, with one learning rate each.

    data: below the data folder. labels, texts: drawn by the seed. judging: other texts of these labels at most. epochs,
    texts_per_batch: of every arm that trains weights. full_rate: the learning rate of FULL; an adapter's is its own.
    model: the folder that all arms start from; all-MiniLM-L6-v2 when empty.

    Arms are PROBE, FULL, or a method with settings: "lora:part.rank=4". Any may end in ":labels=quarter" or
    ":labels=shuffled". The linear layer of all begins as logistic regression on the texts, which is what PROBE ends
    with. The control: all labels against a quarter of them.
    """

    needs: ClassVar[tuple[str, ...]] = ("cls/banking77",)
    control: ClassVar[Pair | None] = Pair("lora", "lora:labels=quarter", ACCURACY)

    data: str = "cls/banking77"
    labels: int = 20
    texts: int = 600
    judging: int = 2000
    epochs: int = 2
    texts_per_batch: int = 16
    full_rate: float = 1e-4
    model: str = ""

    def at(self, size: Size) -> TuningExperiment:
        return self if size == "small" else replace(self, labels=77, texts=2000)

    def inputs(self) -> tuple[str, ...]:
        return (self.data,)

    def with_start(self, model: Path) -> TuningExperiment:
        return replace(self, model=str(model))

    def lower_is_better(self, measure: str) -> bool:
        return measure != ACCURACY

    def flops(self, arm: str) -> float:
        """Of the forward passes that encode, and three times as much for each text trained on."""
        passes = self.texts + self.judging
        if parse_arm(arm).name != PROBE:
            passes += 3 * self.epochs * self.texts
        return 2.0 * _MATRICES * _TOKENS * passes

    def prepare(self, data: Path, folder: Path, arms: Sequence[str]) -> None:
        for arm in arms:
            self.part(parse_arm(arm))

    def part(self, arm: Arm) -> AdapterSpec | None:
        """The adapter of an arm, None for PROBE and FULL. Raises ReknitError for an unknown method or setting."""
        from reknit.tuning.config import configured

        if arm.name in (PROBE, FULL):
            if arm.settings:
                raise ReknitError(f"the arm {arm.name} has no settings; leave {arm.settings[0]} out")
            return None
        return configured("", "", arm.name, arm.settings).part

    def run(self, arm: str, seed: int, data: Path, folder: Path, stop: StopRequest) -> Outcome:
        from reknit.evaluation.classification import load_classification
        from reknit.jobs.precision import best_device
        from reknit.models.loading import load_embedding_model
        from reknit.research.tuning.labels import drawn_labels, spoilt

        began, asked = time.perf_counter(), parse_arm(arm)
        model = load_embedding_model(self.model or minilm())
        model.encoder.to(best_device())
        texts = drawn_labels(load_classification(data / self.data), self.labels, self.texts, self.judging, seed)
        values = self._values(asked, spoilt(texts, asked.labels, seed), model, seed, stop)
        return Outcome(values, {"seconds": time.perf_counter() - began, "flops": self.flops(arm)})

    def _values(
        self, arm: Arm, texts: ClassificationSet, model: EmbeddingModel, seed: int, stop: StopRequest
    ) -> dict[str, float | None]:
        from reknit.evaluation.fine_tuning import FineTuningSpec
        from reknit.research.tuning.memory import training_megabytes
        from reknit.tuning.fit import fit, fit_probe

        part = self.part(arm)
        rate = self.full_rate if part is None else part.learning_rate
        spec = FineTuningSpec(self.texts, (rate,), self.epochs, self.texts_per_batch, first_layer="probe")
        if arm.name == PROBE:
            fitted, cost, memory = fit_probe(texts, model, spec), {TRAINED: 0.0, BYTES: 0.0}, None
        else:
            fitted = fit(texts, model, part, spec, seed, stop=stop)
            assert fitted.classifier is not None, "it trains one"
            cost = trained(fitted.classifier)
            memory = training_megabytes(fitted.classifier, texts.train[: self.texts_per_batch])
        return {ACCURACY: float(fitted.right.mean()), **cost, MEMORY: memory, SECONDS: fitted.seconds}


def trained(classifier: Classifier) -> dict[str, float]:
    """What of the encoder was trained, in percent of its weights, and what keeping it takes, in kilobytes."""
    from reknit.adapters.encoder import AdaptedEncoder

    encoder = classifier.model.encoder
    if isinstance(encoder, AdaptedEncoder):
        size = sum(value.numel() * value.element_size() for value in encoder.adapter.tensors().values())
        return {TRAINED: 100 * encoder.trained_fraction, BYTES: size / 1e3}
    return {TRAINED: 100.0, BYTES: sum(4 * value.numel() for value in encoder.parameters()) / 1e3}


def parse_arm(arm: str) -> Arm:
    """The arm of that name. Raises ReknitError for what is none."""
    name, *changes = arm.split(":")
    settings: list[str] = []
    labels: Labels = "all"
    for change in changes:
        field, _, value = change.partition("=")
        if field == "labels":
            known = next((one for one in get_args(Labels) if one == value), None)
            if known is None:
                raise ReknitError(f"{arm}: labels={value} is none of {', '.join(get_args(Labels))}")
            labels = known
        elif field.startswith("part."):
            settings.append(change)
        else:
            raise ReknitError(f"{arm}: {change!r} is neither part.FIELD=VALUE nor labels=VALUE")
    return Arm(name, tuple(settings), labels)
