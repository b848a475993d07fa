"""Random pictures of several sizes, as patches of 2 x 2 pixels, and a tiny vision transformer that reads them."""

from __future__ import annotations

import torch
from torch import Tensor

from reknit.data.batch import Batch
from reknit.data.images.patches import PICTURE_VOCABULARY, picture_batch
from reknit.encoders.huggingface.loading import HuggingFaceEncoder
from reknit.encoders.picture_spec import PictureEncoderSpec

VOCABULARY = PICTURE_VOCABULARY
PATCH = 2
SIDES = ((8, 8), (4, 6), (8, 4), (2, 8), (6, 6))
"""Pixels, high and wide, of the pictures of a batch; squares of 2 x 2 patches do not fill all of them."""


def encoder(seed: int = 0, dropout: float = 0.1) -> HuggingFaceEncoder:
    torch.manual_seed(seed)
    shape = PictureEncoderSpec(dim=32, depth=2, heads=2, intermediate=64, picture=8, patch=PATCH, dropout=dropout)
    return shape.build()


def batch(seed: int, examples: int = len(SIDES)) -> Batch:
    return packed(_pictures(seed, examples))


def several(seed: int) -> Batch:
    """So many that every kind of place is masked somewhere."""
    return batch(seed, 15)


def noise(step: int) -> Batch:
    """A fresh batch for each step, of pixels from which nothing can be learnt."""
    return batch(step + 100, 15)


def neighbours() -> tuple[Batch, Batch]:
    """Two batches that begin with the same picture, the smallest, and go on differently."""
    first = _pictures(1, len(SIDES))[3:4]
    return packed([*first, *_pictures(7, 3)]), packed([*first, *_pictures(8, 5)[1:]])


def packed(pictures: list[Tensor]) -> Batch:
    """One batch of [3, height, width] pictures of any sizes."""
    made = [picture_batch(picture[None], PATCH) for picture in pictures]
    return Batch.pack(
        [(one.tokens, one.special, one.word_starts) for one in made], VOCABULARY, signals=[one.signal for one in made]
    )


def _pictures(seed: int, number: int) -> list[Tensor]:
    rng = torch.Generator().manual_seed(seed)
    return [torch.randn(3, *SIDES[place % len(SIDES)], generator=rng) for place in range(number)]
