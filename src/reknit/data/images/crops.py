"""Random parts of pictures, scaled back to the whole size, and mirrored: what pre-training sees of a picture."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

_NARROWEST, _WIDEST = 3 / 4, 4 / 3


def generator_of(seed: int, step: int) -> torch.Generator:
    """The random numbers of one training step's crops."""
    return torch.Generator().manual_seed(int(np.random.SeedSequence([seed, step]).generate_state(1)[0]))


def random_crops(pictures: Tensor, rng: torch.Generator, least: float) -> Tensor:
    """[n, channels, size, size] -> the same shape: of each picture a rectangle, and of half of them its mirror image.

    The rectangle has `least` to all of the area, uniformly, and a width of 3/4 to 4/3 of its height, uniformly in the
    logarithm (torchvision's RandomResizedCrop, whose retries are cut off here: a side that does not fit is as long as
    the picture). Points between pixels are interpolated linearly. rng: a CPU generator; one draw of [n, 5] numbers.
    """
    draws = torch.rand(len(pictures), 5, generator=rng).to(pictures.device)
    area = least + (1.0 - least) * draws[:, 0]
    ratio = torch.exp(math.log(_NARROWEST) + (math.log(_WIDEST) - math.log(_NARROWEST)) * draws[:, 1])
    width, height = (area * ratio).sqrt().clamp(max=1.0), (area / ratio).sqrt().clamp(max=1.0)
    # Positions lie between -1 and 1, as grid_sample has them.
    middle_x, middle_y = (1.0 - width) * (2 * draws[:, 2] - 1), (1.0 - height) * (2 * draws[:, 3] - 1)
    mirrored = torch.where(draws[:, 4] < 0.5, -width, width)
    nothing = torch.zeros_like(width)
    affine = torch.stack((mirrored, nothing, middle_x, nothing, height, middle_y), dim=1).view(-1, 2, 3)
    grid = functional.affine_grid(affine, list(pictures.shape), align_corners=False)
    return functional.grid_sample(pictures, grid, mode="bilinear", padding_mode="border", align_corners=False)
