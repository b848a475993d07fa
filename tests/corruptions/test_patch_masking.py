"""Squares of patches are masked as loops mask them, the same in every shard."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from toy_models import generator, toy_batch
from toys.pictures import SIDES, batch
from twins.masked_pictures import naive_masked

from reknit.corruptions.patch_masking import mask_patches
from reknit.data.shard import shard_of
from reknit.errors import ReknitError


@given(st.integers(0, 10_000), st.floats(0.01, 1.0), st.integers(1, 5))
@settings(max_examples=60, deadline=None)
def test_against_loops(seed: int, ratio: float, unit: int) -> None:
    pictures = batch(seed, 7)
    view = mask_patches(pictures, generator(seed), ratio=ratio, unit=unit)
    assert view.masked.nonzero().squeeze(1).tolist() == naive_masked(pictures, generator(seed), ratio, unit)
    assert torch.equal(view.predict, view.masked)
    assert view.signal is pictures.signal
    assert not view.masked[pictures.cu_seqlens[:-1]].any(), "an opening row holds nothing"


def test_every_square_is_drawn_as_often() -> None:
    pictures = batch(0, 1)
    squares = 4
    counts = torch.zeros(pictures.num_tokens)
    for seed in range(400):
        counts += mask_patches(pictures, generator(seed), ratio=0.5, unit=2).masked
    shares = counts[1:] / 400
    assert SIDES[0] == (8, 8)
    # Two of four squares in every draw.
    assert float(shares.mean()) == pytest.approx(math.ceil(0.5 * squares) / squares)
    assert float((shares - 0.5).abs().max()) < 0.12


@pytest.mark.parametrize("size", [2, 3])
def test_shards_are_masked_as_the_whole(size: int) -> None:
    pictures = batch(3, 7)
    whole = mask_patches(pictures, generator(5), unit=2)
    parts = [mask_patches(shard_of(pictures, rank, size), generator(5), unit=2) for rank in range(size)]
    assert torch.equal(torch.cat([part.masked for part in parts]), whole.masked)


def test_what_cannot_be() -> None:
    for ratio, unit in ((0.0, 1), (1.1, 1), (0.5, 0)):
        with pytest.raises(ReknitError, match=f"ratio is {ratio} and unit {unit}"):
            mask_patches(batch(0), generator(0), ratio=ratio, unit=unit)
    with pytest.raises(ReknitError, match="this batch has no patches to mask: train on pictures"):
        mask_patches(toy_batch(0), generator(0))
