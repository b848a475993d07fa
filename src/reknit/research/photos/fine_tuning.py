"""All weights of a picture encoder and a linear layer, trained on labels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from reknit.data.batch import Batch, View
from reknit.data.images.crops import generator_of, random_crops
from reknit.data.images.patches import picture_batch
from reknit.data.order import EpochOrder
from reknit.encoders.pooling import pool
from reknit.jobs.interrupt import Interrupted, StopRequest
from reknit.jobs.precision import PrecisionName, autocast
from reknit.models.picture_model import PictureModel
from reknit.recipe import OptimiserSpec
from reknit.research.photos.material import LabelledPictures
from reknit.training.optimiser import build_optimiser, learning_rate

_JUDGED_AT_ONCE = 128


@dataclass(frozen=True)
class FineTuning:
    """epochs, pictures_per_batch, optimiser: of every arm alike. least_area: as `PictureSpec` has it."""

    epochs: int
    pictures_per_batch: int
    optimiser: OptimiserSpec
    least_area: float


def fine_tuned_accuracy(
    model: PictureModel,
    learnt: LabelledPictures,
    judging: LabelledPictures,
    spec: FineTuning,
    seed: int,
    precision: PrecisionName,
    stop: StopRequest,
) -> float:
    """The fraction of `judging` that is named rightly after training on `learnt`; `model` is trained in place.

    Raises Interrupted when a stop is asked for.
    """
    device = next(model.encoder.parameters()).device
    torch.manual_seed(seed)
    classify = nn.Linear(model.dim, int(learnt.labels.max()) + 1).to(device)
    parameters = [*model.encoder.parameters(), *classify.parameters()]
    optimiser = build_optimiser((model.encoder, classify), spec.optimiser)
    order = EpochOrder(len(learnt.labels), seed)
    steps = max(1, len(learnt.labels) // spec.pictures_per_batch)
    model.encoder.train()
    for step in range(spec.epochs * steps):
        if stop.asked:
            raise Interrupted("stopped while fine-tuning")
        epoch, place = divmod(step, steps)
        rows = order(epoch)[place * spec.pictures_per_batch : (place + 1) * spec.pictures_per_batch]
        pixels = _on_device(learnt.pixels[rows], device)
        pictures = random_crops(model.normalised(pixels), generator_of(seed, step), spec.least_area)
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(spec.optimiser, step / (spec.epochs * steps))
        with autocast(precision, device):
            logits = classify(_vectors(model, picture_batch(pictures, model.patch)))
        loss = functional.cross_entropy(logits.float(), torch.from_numpy(learnt.labels[rows]).to(device))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, spec.optimiser.max_grad_norm)
        optimiser.step(), optimiser.zero_grad(set_to_none=True)
    return _accuracy(model, classify, judging, precision)


@torch.no_grad()
def _accuracy(model: PictureModel, classify: nn.Linear, judging: LabelledPictures, precision: PrecisionName) -> float:
    model.encoder.eval()
    device, right = classify.weight.device, 0
    for start in range(0, len(judging.labels), _JUDGED_AT_ONCE):
        rows = slice(start, start + _JUDGED_AT_ONCE)
        with autocast(precision, device):
            named = classify(_vectors(model, model.batch(_on_device(judging.pixels[rows], device)))).argmax(dim=1)
        right += int((named.cpu().numpy() == judging.labels[rows]).sum())
    return right / len(judging.labels)


def _vectors(model: PictureModel, batch: Batch) -> Tensor:
    return pool(model.encoder(View.clean(batch)), model.pooling)


def _on_device(pixels: np.ndarray, device: torch.device) -> Tensor:
    return torch.from_numpy(np.array(pixels)).to(device)
