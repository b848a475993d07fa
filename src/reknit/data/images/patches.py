"""Pictures as sequences of patches, and back."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from reknit.data.batch import Batch, Signal, Vocabulary
from reknit.errors import ReknitError

OPENS, PATCH = 0, 1
PICTURE_VOCABULARY = Vocabulary(size=2, pad=-1, mask=-1, cls=OPENS, sep=-1, special=(OPENS, PATCH), signal=PATCH)
"""A picture is an opening row and its patches; no token has a meaning of its own."""
KIND = "patch"

# Of ImageNet, of red, green and blue between 0 and 1: what most image models expect.
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def normalised(pixels: Tensor, mean: Sequence[float] = MEAN, deviation: Sequence[float] = DEVIATION) -> Tensor:
    """[n, h, w, 3] uint8 or float of 0 to 255 -> [n, 3, h, w] float32 of about mean 0 and deviation 1.

    mean, deviation: of red, green and blue between 0 and 1.
    """
    by, less = (torch.tensor(values, device=pixels.device).view(3, 1, 1) for values in (deviation, mean))
    return (pixels.permute(0, 3, 1, 2).float() / 255.0 - less) / by


def patches_of(pictures: Tensor, patch: int) -> Tensor:
    """[n, channels, h, w] -> [n, rows * columns, channels * patch * patch], row by row; within a patch channel by
    channel and row by row, as the kernel of a convolution has them. Raises ReknitError for sides that patches do not
    fill."""
    _, channels, height, width = pictures.shape
    if height % patch or width % patch:
        raise ReknitError(f"patches of {patch} pixels do not fill a picture of {height} x {width}")
    cut = pictures.unflatten(3, (-1, patch)).unflatten(2, (-1, patch))  # n, channels, rows, patch, columns, patch
    patches: Tensor = cut.permute(0, 2, 4, 1, 3, 5).reshape(len(pictures), -1, channels * patch * patch)
    return patches


def pictures_of(patches: Tensor, patch: int, rows: int) -> Tensor:
    """The inverse of `patches_of`, for pictures of so many rows of patches."""
    cut = patches.unflatten(2, (-1, patch, patch)).unflatten(1, (rows, -1))  # n, rows, columns, channels, patch, patch
    pictures: Tensor = cut.permute(0, 3, 1, 4, 2, 5).flatten(4, 5).flatten(2, 3)
    return pictures


def picture_batch(pictures: Tensor, patch: int) -> Batch:
    """[n, channels, h, w] -> n sequences of an opening row and the picture's patches, whose places are row and column.

    Raises ReknitError as `patches_of` does.
    """
    patches = patches_of(pictures, patch)
    number, count, values = patches.shape
    columns = pictures.shape[3] // patch
    device = pictures.device
    tokens = torch.full((number, 1 + count), PATCH, device=device)
    tokens[:, 0] = OPENS
    places = torch.arange(count, device=device)
    where = torch.stack((places // columns, places % columns), dim=1).repeat(number, 1)
    every = torch.ones(number * (1 + count), dtype=torch.bool, device=device)
    return Batch(
        tokens=tokens.flatten(),
        cu_seqlens=torch.arange(0, number * (1 + count) + 1, 1 + count, device=device),
        special=every,
        word_starts=every,
        vocabulary=PICTURE_VOCABULARY,
        signal=Signal((tokens.flatten() == PATCH).nonzero().squeeze(1), patches.reshape(-1, values), where, KIND),
    )
