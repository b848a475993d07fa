"""What a linear head predicts of masked pixels on an encoder that was never trained: the control of pre-training."""

from __future__ import annotations

import numpy as np
import torch

from reknit.models.picture_model import PictureModel
from reknit.objectives.masked_pictures import MaskedPictures

_PICTURES = 512
_RIDGE = 1e-3


@torch.no_grad()
def fit_head(objective: MaskedPictures, model: PictureModel, pixels: np.ndarray) -> None:
    """Set the objective's linear layer to the least-squares prediction (with a small ridge) of masked patches from the
    encoder's states, over the first 512 of `pixels` [N, size, size, 3]; nothing else changes."""
    objective.eval(), model.encoder.eval()
    linear = objective.pixels
    batch = model.batch(torch.from_numpy(np.array(pixels[:_PICTURES])).to(linear.weight.device))
    objective.pixels = torch.nn.Identity()  # type: ignore[assignment]
    states, wanted, _ = objective.predictions(model.encoder, batch, torch.Generator().manual_seed(0))
    objective.pixels = linear
    states, wanted = states.double(), wanted.double()
    middle, target = states.mean(dim=0), wanted.mean(dim=0)
    centred = states - middle
    gram = centred.T @ centred / len(centred)
    scale = _RIDGE * gram.diagonal().mean()
    weights = torch.linalg.solve(
        gram + scale * torch.eye(len(gram), dtype=gram.dtype, device=gram.device),
        centred.T @ (wanted - target) / len(centred),
    )
    linear.weight.copy_(weights.T)
    linear.bias.copy_(target - middle @ weights)
