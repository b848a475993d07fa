"""Batches of pictures are a pure function of the step, and every picture comes once an epoch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from photos import smooth
from toys.pictures import encoder

from reknit.data.images.patches import normalised, patches_of
from reknit.data.images.reading import PictureReport
from reknit.data.images.store import PictureCorpus
from reknit.errors import ReknitError
from reknit.models.picture_model import PictureModel
from reknit.sources.pictures import PictureBatches, PictureSpec

PIXELS = np.stack([smooth(seed, 8, 8) for seed in range(14)])
CORPUS = PictureCorpus(PIXELS, np.array([0, 7]), PictureReport(), "toys")


def opened(spec: PictureSpec, seed: int = 0) -> PictureBatches:
    return spec.open(CORPUS, PictureModel(encoder()), Path(), seed)


def values(batches: PictureBatches, step: int) -> torch.Tensor:
    batch = batches(step)
    assert batch.signal is not None
    return batch.signal.values


def test_a_pure_function_of_the_step() -> None:
    spec = PictureSpec(pictures_per_batch=4)
    batches = opened(spec)
    made = [values(batches, step) for step in range(7)]
    for step in reversed(range(7)):
        assert torch.equal(values(opened(spec), step), made[step])
    assert not torch.equal(made[0], made[3]), "the same pictures, seen otherwise in another epoch"
    assert not torch.equal(values(opened(spec, seed=1), 0), made[0])


def test_every_picture_but_the_held_out_comes_once_an_epoch() -> None:
    """Whole pictures, as they are or mirrored, are known by the mean of each colour."""
    batches = opened(PictureSpec(pictures_per_batch=4, least_area=1.0))
    means = normalised(torch.from_numpy(PIXELS)).mean(dim=(2, 3))
    for epoch in range(2):
        found = []
        for step in range(3 * epoch, 3 * epoch + 3):
            seen = values(batches, step).unflatten(0, (4, -1)).unflatten(2, (3, -1)).mean(dim=(1, 3))
            found += torch.cdist(seen, means).argmin(dim=1).tolist()
        # A width that is not the height's is cut at the sides: the mean moves a little.
        assert len(set(found) & set(CORPUS.trained_on.tolist())) >= 10


def test_fewer_pictures_than_a_batch_has_room_for() -> None:
    batches = opened(PictureSpec(pictures_per_batch=64))
    assert batches(0).num_sequences == 12
    assert batches(5).num_sequences == 12
    assert values(batches, 0).shape == (12 * 16, 12)
    assert patches_of(normalised(torch.from_numpy(PIXELS[:1])), 2).shape == (1, 16, 12)


def test_nothing_to_train_on() -> None:
    nothing = PictureCorpus(PIXELS[:1], np.array([0]), PictureReport(), "photos")
    with pytest.raises(ReknitError, match="photos leaves no picture to train simmim on"):
        PictureSpec().check(nothing, "simmim")
    assert (PictureSpec().room, PictureSpec().with_room(4)) == (64, "pictures_per_batch=4")
