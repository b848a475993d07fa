"""What an encoder reaches on a classification task when it is trained on it, with a linear layer on top.

The protocol of Agerri and Agirre 2022 ("Lessons learned from the evaluation of Spanish Language Models"): one grid of
settings for every encoder, the choice made by texts that are not trained on, and several seeds. What of the encoder
has gradients is trained: all of it, or the adapter that is attached to it.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reknit.data.batch import View
from reknit.data.order import EpochOrder
from reknit.decoders.initial_weights import draw_like_bert
from reknit.encoders.pooling import pool
from reknit.errors import ReknitError
from reknit.evaluation.classification import (
    ClassificationSet,
    LabelledText,
    LinearProbeMeasure,
    drawn_texts,
    fitted_probe,
    holds_classes,
    load_classification,
)
from reknit.evaluation.measure import Measure, Subject
from reknit.jobs.interrupt import Interrupted, StopRequest
from reknit.jobs.memory import MemoryKeeper, reusing_allocation
from reknit.jobs.precision import PrecisionChoice, PrecisionName, autocast, resolve_precision
from reknit.models.embedding_model import EmbeddingModel
from reknit.ranges import InnerFraction, NonNegativeInt, PositiveFloat, PositiveInt
from reknit.recipe import OptimiserSpec
from reknit.training.optimiser import build_optimiser, learning_rate
from reknit.training.trainer import step_seed

_PHASE = "fine-tuning"


@dataclass(frozen=True)
class FineTuningSpec:
    """How every encoder is fine-tuned on labelled texts; what is not said here is as in `OptimiserSpec`.

    Raises ReknitError for a value that cannot be trained with.
    """

    texts: NonNegativeInt = 0
    """Labelled texts that are drawn, at most; 0 for no fine-tuning."""
    learning_rates: tuple[PositiveFloat, ...] = (1e-4, 3e-4, 1e-3)
    """Highest learning rates to try, each from the same initial weights; the one that is best on held-out texts is
    taken.
    """
    epochs: PositiveInt = 10
    """Times that each text is trained on."""
    texts_per_batch: PositiveInt = 32
    """Texts of a training step."""
    held_out_share: InnerFraction = 0.1
    """Fraction of the labelled texts that are not trained on but choose the learning rate."""
    first_layer: Literal["random", "probe"] = "random"
    """Initial weights of the linear layer: random ones, or those of a logistic regression on the vectors of the encoder
    as it is (linear probing, then fine-tuning: Kumar et al. 2022, https://arxiv.org/abs/2202.10054).
    """

    def __post_init__(self) -> None:
        if self.texts < 0:
            raise ReknitError(f"fine_tuning.texts is {self.texts}: it must be 0 (no fine-tuning) or more")
        if not self.learning_rates or not all(0.0 < rate < math.inf for rate in self.learning_rates):
            given = ",".join(map(str, self.learning_rates)) or "empty"
            raise ReknitError(f"fine_tuning.learning_rates is {given}: give one or more numbers above 0")
        for name in ("epochs", "texts_per_batch"):
            if getattr(self, name) < 1:
                raise ReknitError(f"fine_tuning.{name} is {getattr(self, name)}: it must be 1 or more")
        if not 0.0 < self.held_out_share < 1.0:
            raise ReknitError(f"fine_tuning.held_out_share is {self.held_out_share}: it must be above 0 and below 1")


NO_FINE_TUNING = FineTuningSpec()


def learning_and_held_out(
    data: ClassificationSet, spec: FineTuningSpec
) -> tuple[list[LabelledText], list[LabelledText]]:
    """(texts to train on, texts that choose the learning rate), all of train.tsv and the same ones for every seed.

    They are drawn as `linear_probe` draws its own. Raises ReknitError when fewer than two labels are left to learn.
    """
    drawn = drawn_texts(data, spec.texts)
    # In random order, as the file may be sorted by label.
    drawn = [drawn[row] for row in EpochOrder(len(drawn), seed=0)(0).tolist()]
    held_out = max(1, round(spec.held_out_share * len(drawn)))
    learning = drawn[held_out:]
    if len({label for label, _ in learning}) < 2:
        raise ReknitError(
            f"{data.name}: of {len(drawn)} labelled texts {held_out} are held out, and the others have fewer than two "
            "labels: raise fine_tuning.texts, or lower fine_tuning.held_out_share"
        )
    return learning, drawn[:held_out]


@dataclass(frozen=True)
class FineTuningMeasure(Measure):
    """Accuracy of a copy of the encoder as trained that is trained further on labelled texts."""

    data: ClassificationSet
    spec: FineTuningSpec

    @property
    def label(self) -> str:
        return f"{self.data.name} fine-tuned accuracy"

    def value(self, subject: Subject) -> float:
        return fine_tuned_accuracy(self.data, subject.trained, self.spec, subject.seed, subject.precision)


def opened(folder: Path, classified_texts: int, spec: FineTuningSpec) -> list[Measure] | None:
    """The measures of a folder with labels, by a linear classifier and, where `spec` has texts, by fine-tuning; None
    for any other. Raises ReknitError as `load_classification` and `learning_and_held_out` do."""
    if not holds_classes(folder):
        return None
    data = load_classification(folder)
    found: list[Measure] = [LinearProbeMeasure(data, classified_texts)]
    if spec.texts:
        # What cannot be learnt from would else be found after hours of training.
        learning_and_held_out(data, spec)
        found.append(FineTuningMeasure(data, spec))
    return found


def fine_tuned_accuracy(
    data: ClassificationSet,
    model: EmbeddingModel,
    spec: FineTuningSpec,
    seed: int,
    precision: PrecisionChoice = "auto",
) -> float:
    """The share of test texts that get the right label, 0 to 1, from a copy of the model trained on training texts.

    The copy that labels the most held-out texts rightly is tested, of equals that with the learning rate named first;
    the others never see a test text. A label that is not among the texts to learn from is never given. Neither the
    model nor torch's global generator changes. Works on the model's device. Raises ReknitError as
    `learning_and_held_out` does, and for a model that cannot be trained.
    """
    return best_classifier(*learning_and_held_out(data, spec), model, spec, seed, precision).accuracy(data.test)


def best_classifier(
    learning: Sequence[LabelledText],
    held_out: Sequence[LabelledText],
    model: EmbeddingModel,
    spec: FineTuningSpec,
    seed: int,
    precision: PrecisionChoice = "auto",
    stop: StopRequest | None = None,
) -> Classifier:
    """Of copies of the model trained with each learning rate the one that labels the most held-out texts rightly, of
    equals that with the rate named first; without a choice, nothing need be held out.

    seed: of the linear layer's initial weights, the order of the texts and dropout; with the same seed, model and
    machine the answer is the same. Raises Interrupted once `stop` is asked for.
    """
    device = model.encoder.table.device
    found: tuple[float, Classifier] | None = None
    with torch.random.fork_rng([device] if device.type == "cuda" else []), reusing_allocation():
        for rate in spec.learning_rates:
            classifier = Classifier(model, sorted({label for label, _ in learning}), seed, precision)
            if spec.first_layer == "probe":
                classifier.begin_with_probe(learning)
            classifier.train(learning, rate, spec, stop)
            accuracy = classifier.accuracy(held_out) if held_out else 0.0
            if found is None or accuracy > found[0]:
                found = accuracy, classifier
    assert found is not None, "there is a learning rate"
    return found[1]


class Classifier:
    """A copy of a model with a linear layer over its pooled vectors, whole and not normalised.

    labels: what the rows of the linear layer stand for. learning_rate: the highest that it was trained with.
    """

    def __init__(self, model: EmbeddingModel, labels: Sequence[str], seed: int, precision: PrecisionChoice) -> None:
        self.model = copy.copy(model)
        self.model.encoder = copy.deepcopy(model.encoder)
        # Vectors of length 1 would bound the logits, and with them how sure the classifier can become.
        self.model.normalize, self.model.dims = False, None
        self.labels, self.seed, self.learning_rate = list(labels), seed, 0.0
        self.device = model.encoder.table.device
        self.precision: PrecisionName = resolve_precision(precision, self.device)
        torch.manual_seed(step_seed(seed, _PHASE, "heads"))
        self.head = nn.Linear(model.encoder.dim, len(self.labels))
        draw_like_bert((self.head,))
        self.head.to(self.device)

    def begin_with_probe(self, texts: Sequence[LabelledText]) -> None:
        """Give the linear layer the weights of logistic regression on the texts' vectors."""
        scaler, regression = (step for _, step in fitted_probe(self._encoded(texts), [one for one, _ in texts]).steps)
        weight, bias = regression.coef_ / scaler.scale_, regression.intercept_
        bias = bias - weight @ scaler.mean_
        if len(self.labels) == 2:  # it has one row, for the second label
            weight, bias = np.concatenate((-weight, weight)) / 2, np.concatenate((-bias, bias)) / 2
        with torch.no_grad():
            self.head.weight.copy_(torch.from_numpy(weight))
            self.head.bias.copy_(torch.from_numpy(bias))

    def train(
        self, texts: Sequence[LabelledText], rate: float, spec: FineTuningSpec, stop: StopRequest | None = None
    ) -> None:
        """Train on the texts, each `spec.epochs` times, with this highest learning rate."""
        self.learning_rate = rate
        settings = OptimiserSpec(learning_rate=rate)
        optimiser = build_optimiser((self.model.encoder, self.head), settings)
        order, keep_memory = EpochOrder(len(texts), self.seed), MemoryKeeper()
        steps_per_epoch = math.ceil(len(texts) / spec.texts_per_batch)
        steps = spec.epochs * steps_per_epoch
        self.model.encoder.train()
        for step in range(steps):
            if stop is not None and stop.asked:
                raise Interrupted("stopped while fine-tuning")
            epoch, place = divmod(step, steps_per_epoch)
            rows = order(epoch)[place * spec.texts_per_batch :][: spec.texts_per_batch]
            for group in optimiser.param_groups:
                group["lr"] = learning_rate(settings, step / steps)
            # Dropout draws from torch's global generator, which is the same for every learning rate.
            torch.manual_seed(step_seed(self.seed, _PHASE, step))
            self._step([texts[row] for row in rows.tolist()], optimiser, settings.max_grad_norm)
            keep_memory()
        self.model.encoder.eval()

    def accuracy(self, texts: Sequence[LabelledText]) -> float:
        """The share of the texts that get their label, 0 to 1."""
        return float(self.right(texts).mean())

    def right(self, texts: Sequence[LabelledText]) -> np.ndarray:
        """[texts] 1.0 where a text gets its label, else 0.0."""
        with torch.inference_mode():
            rows = self.head(torch.from_numpy(self._encoded(texts)).to(self.device)).argmax(dim=1).tolist()
        return np.array([self.labels[row] == label for row, (label, _) in zip(rows, texts, strict=True)], dtype=float)

    def _encoded(self, texts: Sequence[LabelledText]) -> np.ndarray:
        """[texts, dim], without gradient and dropout."""
        return self.model.encode([text for _, text in texts], prompt_name="document", precision=self.precision)

    def _step(self, texts: Sequence[LabelledText], optimiser: torch.optim.Optimizer, max_grad_norm: float) -> None:
        """One step of the optimiser; a loss or gradient that is not finite changes no weight, as in any training."""
        targets = torch.tensor([self.labels.index(label) for label, _ in texts], device=self.device)
        loss = F.cross_entropy(self.head(self._vectors([text for _, text in texts])), targets)
        loss.backward()
        parameters = [parameter for group in optimiser.param_groups for parameter in group["params"]]
        norm = nn.utils.clip_grad_norm_(parameters, max_grad_norm)
        if math.isfinite(float(loss.detach())) and math.isfinite(float(norm)):
            optimiser.step()
        optimiser.zero_grad(set_to_none=True)

    def _vectors(self, texts: Sequence[str]) -> Tensor:
        """[texts, dim] float32 with gradient: what `EmbeddingModel.encode` gives, with dropout."""
        model, prompt = self.model, self.model.prompt_text("document")
        batch = model.tokenizer.pack([prompt + text for text in texts], model.max_length).to(self.device)
        if batch.num_tokens == 0:  # a tokenizer without special tokens makes nothing of empty texts
            return torch.zeros(len(texts), model.encoder.dim, device=self.device)
        with autocast(self.precision, self.device):
            return pool(model.encoder(View.clean(batch)), model.pooling).float()
