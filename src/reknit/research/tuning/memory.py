"""What a step of training holds in memory, counted instead of measured: the same on every machine."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from reknit.data.batch import View
from reknit.evaluation.classification import LabelledText
from reknit.evaluation.fine_tuning import Classifier
from reknit.jobs.precision import autocast

_MOMENTS = 2  # of Adam, of each trained weight, beside its gradient


def training_megabytes(classifier: Classifier, texts: Sequence[LabelledText]) -> float:
    """Megabytes of a step on these texts beside the encoder's weights: what the backward pass needs of the forward one,
    gradients and the optimiser's moments, in float32 but for what autocast makes bfloat16."""
    model = classifier.model
    weights = {parameter.untyped_storage().data_ptr() for parameter in model.encoder.parameters()}
    kept: dict[int, int] = {}

    def count(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    batch = model.tokenizer.pack([text for _, text in texts], model.max_length).to(classifier.device)
    was_training = model.encoder.training
    with (
        torch.random.fork_rng([]),
        torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor),
        autocast(classifier.precision, classifier.device),
    ):
        output = model.encoder.train()(View.clean(batch)).last
    model.encoder.train(was_training)
    del output
    trained = [*(one for one in model.encoder.parameters() if one.requires_grad), *classifier.head.parameters()]
    return (sum(kept.values()) + 4 * (1 + _MOMENTS) * sum(one.numel() for one in trained)) / 1e6
