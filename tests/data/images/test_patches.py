"""Pictures as patches and back, by loops; random parts of pictures."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from signal_checks import generator

from reknit.data.images.crops import random_crops
from reknit.data.images.patches import (
    DEVIATION,
    MEAN,
    OPENS,
    PATCH,
    normalised,
    patches_of,
    picture_batch,
    pictures_of,
)
from reknit.errors import ReknitError


@given(st.integers(1, 3), st.integers(1, 4), st.integers(1, 4), st.integers(1, 3))
@settings(max_examples=20, deadline=None)
def test_patches_against_loops(number: int, rows: int, columns: int, patch: int) -> None:
    pictures = torch.randn(number, 3, rows * patch, columns * patch, generator=generator(0))
    found = patches_of(pictures, patch)
    assert found.shape == (number, rows * columns, 3 * patch * patch)
    for picture in range(number):
        for place in range(rows * columns):
            row, column = place // columns * patch, place % columns * patch
            values = [
                pictures[picture, channel, row + down, column + right]
                for channel in range(3)
                for down in range(patch)
                for right in range(patch)
            ]
            assert torch.equal(found[picture, place], torch.stack(values))
    assert torch.equal(pictures_of(found, patch, rows), pictures)


def test_a_patch_is_what_a_convolution_sees() -> None:
    pictures, weight = torch.randn(2, 3, 8, 8, generator=generator(1)), torch.randn(5, 3, 4, 4, generator=generator(2))
    expected = torch.nn.functional.conv2d(pictures, weight, stride=4).flatten(2).transpose(1, 2)
    torch.testing.assert_close(patches_of(pictures, 4) @ weight.flatten(1).T, expected)


def test_a_batch_of_pictures() -> None:
    batch = picture_batch(torch.randn(2, 3, 4, 6, generator=generator(0)), 2)
    assert batch.tokens.tolist() == [OPENS, *[PATCH] * 6] * 2
    assert batch.cu_seqlens.tolist() == [0, 7, 14]
    assert batch.special.all()
    assert batch.signal is not None
    assert batch.signal.at.tolist() == [*range(1, 7), *range(8, 14)]
    assert batch.signal.places.tolist() == [[0, 0], [0, 1], [0, 2], [1, 0], [1, 1], [1, 2]] * 2
    with pytest.raises(ReknitError, match="patches of 4 pixels do not fill a picture of 4 x 6"):
        picture_batch(torch.zeros(1, 3, 4, 6), 4)


def test_normalising() -> None:
    pixels = torch.randint(0, 256, (2, 3, 4, 3), generator=generator(0), dtype=torch.uint8)
    found = normalised(pixels)
    assert found.shape == (2, 3, 3, 4)
    for channel in range(3):
        expected = (pixels[..., channel].double() / 255 - MEAN[channel]) / DEVIATION[channel]
        np.testing.assert_allclose(found[:, channel], expected, atol=1e-6)


def test_crops() -> None:
    pictures = torch.randn(400, 3, 8, 8, generator=generator(0))
    whole = random_crops(pictures, generator(1), 1.0)
    # All of the area, and a width that need not be the height's: cut off at the picture's sides.
    assert whole.shape == pictures.shape
    flat = torch.full((50, 3, 8, 8), 0.7)
    torch.testing.assert_close(random_crops(flat, generator(2), 0.3), flat)
    assert torch.equal(random_crops(pictures, generator(3), 0.5), random_crops(pictures, generator(3), 0.5))
    # A slope to the right: mirrored in half of the pictures, and its parts are parts of it.
    slope = torch.linspace(0, 1, 8).expand(400, 3, 8, 8)
    made = random_crops(slope, generator(4), 0.3)
    rising = made[:, 0, 4, -1] > made[:, 0, 4, 0]
    assert 150 < int(rising.sum()) < 250
    assert float(made.min()) >= 0
    assert float(made.max()) <= 1
    assert float((made[:, 0, 4, -1] - made[:, 0, 4, 0]).abs().min()) < 0.8
