"""Train what the labels are for: the linear probe on the model as it is, and the model with an adapter."""

from __future__ import annotations

import copy
import time
from dataclasses import dataclass

import numpy as np
import torch

from reknit.adapters.base import AdapterSpec
from reknit.adapters.encoder import attach
from reknit.data.order import EpochOrder
from reknit.evaluation.classification import ClassificationSet, LabelledText, drawn_texts, linear_probe
from reknit.evaluation.fine_tuning import Classifier, FineTuningSpec, best_classifier, learning_and_held_out
from reknit.jobs.interrupt import StopRequest
from reknit.jobs.precision import PrecisionChoice
from reknit.models.embedding_model import EmbeddingModel
from reknit.models.encode_texts import encoder_function


@dataclass(frozen=True)
class Fitted:
    """right: [texts that judge] 1.0 where one gets its label, else 0.0. seconds: to train. classifier: what was
    trained; None for the probe, which trains nothing of the model."""

    right: np.ndarray
    seconds: float
    classifier: Classifier | None = None


def fit_probe(
    data: ClassificationSet, model: EmbeddingModel, spec: FineTuningSpec, precision: PrecisionChoice = "auto"
) -> Fitted:
    """Logistic regression on the model's vectors of the texts that fine-tuning would learn from."""
    began = time.perf_counter()
    right = linear_probe(data, encoder_function(model, precision), texts=spec.texts)
    return Fitted(right, time.perf_counter() - began)


def fit(
    data: ClassificationSet,
    model: EmbeddingModel,
    part: AdapterSpec | None,
    spec: FineTuningSpec,
    seed: int,
    precision: PrecisionChoice = "auto",
    stop: StopRequest | None = None,
) -> Fitted:
    """Fine-tune a copy of the model; `model` stays as it is.

    part: the adapter that is trained in place of the encoder's own weights, None for these. seed: of everything random.
    Of several learning rates texts that are held out from training choose; one rate learns from all. Raises ReknitError
    as `attach` and `learning_and_held_out` do, and Interrupted once `stop` is asked for.
    """
    began = time.perf_counter()
    learning, held_out = _divided(data, spec)
    tuned = copy.copy(model)
    if part is not None:
        with torch.random.fork_rng([]):
            torch.manual_seed(seed)
            adapted = attach(copy.deepcopy(model.encoder), part)
        tuned.encoder, tuned.max_length = adapted, min(model.max_length, adapted.max_positions)
    classifier = best_classifier(learning, held_out, tuned, spec, seed, precision, stop)
    seconds = time.perf_counter() - began
    return Fitted(classifier.right(data.test), seconds, classifier)


def _divided(data: ClassificationSet, spec: FineTuningSpec) -> tuple[list[LabelledText], list[LabelledText]]:
    if len(spec.learning_rates) > 1:
        return learning_and_held_out(data, spec)
    drawn = drawn_texts(data, spec.texts)
    return [drawn[row] for row in EpochOrder(len(drawn), seed=0)(0).tolist()], []
