"""What an objective loses on pictures that it was not trained on."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from reknit.data.images.patches import patches_of
from reknit.losses.absolute_error import absolute_error
from reknit.models.picture_model import PictureModel
from reknit.objectives.base import Objective
from reknit.objectives.masked_pictures import MaskedPictures
from reknit.pictures.result import HeldOutLosses

_AT_ONCE = 64


def mean_picture(pixels: np.ndarray, numbers: np.ndarray) -> Tensor:
    """[size, size, 3] float32, the mean of the pictures of these numbers at each place."""
    total = np.zeros(pixels.shape[1:], dtype=np.float64)
    for start in range(0, len(numbers), _AT_ONCE):
        total += pixels[numbers[start : start + _AT_ONCE]].sum(axis=0, dtype=np.float64)
    return torch.from_numpy((total / max(len(numbers), 1)).astype(np.float32))


@torch.no_grad()
def held_out_losses(
    objective: Objective, model: PictureModel, pixels: np.ndarray, numbers: np.ndarray, mean: Tensor
) -> HeldOutLosses | None:
    """Means over the pictures of these numbers, whole and with one draw of masks; None where there are no pictures.

    pixels: [N, size, size, 3] uint8. mean: [size, size, 3], what `mean_picture` gives. Objective and encoder are left
    in evaluation mode.
    """
    if not len(numbers):
        return None
    objective.eval(), model.encoder.eval()
    device = next(model.encoder.parameters()).device
    guess = patches_of(model.normalised(mean[None].to(device)), model.patch)[0]
    sums: dict[str, float] = {}
    guessed = 0.0
    for start in range(0, len(numbers), _AT_ONCE):
        chosen = numbers[start : start + _AT_ONCE]
        batch = model.batch(torch.from_numpy(pixels[chosen]).to(device))
        for name, loss in objective(model.encoder, batch, _masks(start)).losses.items():
            sums[name] = sums.get(name, 0.0) + len(chosen) * float(loss)
        if isinstance(objective, MaskedPictures):
            _, wanted, view = objective.predictions(model.encoder, batch, _masks(start))
            assert view.signal is not None
            rows, columns = view.signal.places[view.masked[view.signal.at]].unbind(dim=1)
            expected = guess[rows * (model.size // model.patch) + columns]
            guessed += len(chosen) * float(absolute_error(expected, wanted))
    losses = {name: total / len(numbers) for name, total in sums.items()}
    return HeldOutLosses(losses, guessed / len(numbers) if guessed else None, len(numbers))


def _masks(start: int) -> torch.Generator:
    return torch.Generator().manual_seed(start)
