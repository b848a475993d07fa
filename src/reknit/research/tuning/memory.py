"""What a step of training holds in memory, counted instead of measured: the same on every machine."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from reknit.data.batch import View
from reknit.evaluation.classification import LabelledText
from reknit.evaluation.fine_tuning import Classifier
from reknit.jobs.precision import autocast
from reknit.research.kept_bytes import kept_bytes

_MOMENTS = 2  # of Adam, of each trained weight, beside its gradient


def training_megabytes(classifier: Classifier, texts: Sequence[LabelledText]) -> float:
    """Megabytes of a step on these texts beside the encoder's weights: what the backward pass needs of the forward one,
    gradients and the optimiser's moments, in float32 but for what autocast makes bfloat16."""
    model = classifier.model
    batch = model.tokenizer.pack([text for _, text in texts], model.max_length).to(classifier.device)
    was_training = model.encoder.training
    with (
        torch.random.fork_rng([]),
        autocast(classifier.precision, classifier.device),
    ):
        model.encoder.train()
        kept = kept_bytes(lambda: model.encoder(View.clean(batch)).last, model.encoder.parameters())
    model.encoder.train(was_training)
    trained = [*(one for one in model.encoder.parameters() if one.requires_grad), *classifier.head.parameters()]
    return (kept + 4 * (1 + _MOMENTS) * sum(one.numel() for one in trained)) / 1e6
