"""Batches of pictures, each a pure function of the step."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch

from reknit.data.batch import Batch
from reknit.data.images.crops import generator_of, random_crops
from reknit.data.images.patches import picture_batch
from reknit.data.images.store import PictureCorpus
from reknit.data.order import EpochOrder
from reknit.errors import ReknitError
from reknit.models.picture_model import PictureModel
from reknit.ranges import PositiveFraction, PositiveInt
from reknit.sources.source import Source
from reknit.sources.spec import DataSpec


@dataclass(frozen=True)
class PictureSpec(DataSpec[PictureCorpus, PictureModel]):
    """Pictures of a folder, each once an epoch: of each a random part, and of half of them its mirror image."""

    corpus: ClassVar[type] = PictureCorpus
    example: ClassVar[str] = "photos/"

    pictures_per_batch: PositiveInt = 64
    """Pictures of each training step."""
    least_area: PositiveFraction = 0.67
    """Smallest part of a picture's area that a step sees, 1 for whole pictures."""

    def open(self, corpus: PictureCorpus, model: PictureModel, folder: Path, seed: int) -> PictureBatches:
        return PictureBatches(corpus, model, self.pictures_per_batch, self.least_area, seed)

    @property
    def longest(self) -> int:
        return 1

    @property
    def room(self) -> int:
        return self.pictures_per_batch

    def with_room(self, examples: int) -> str:
        return f"pictures_per_batch={examples}"

    def check(self, corpus: PictureCorpus, name: str) -> None:
        if not len(corpus.trained_on):
            raise ReknitError(f"{corpus.name} leaves no picture to train {name} on: give more pictures")


class PictureBatches(Source):
    """Fresh crops of the pictures of each step, in a fresh order each epoch."""

    def __init__(self, corpus: PictureCorpus, model: PictureModel, pictures: int, least_area: float, seed: int) -> None:
        self.pixels, self.numbers = corpus.pixels, corpus.trained_on
        self.pictures = min(pictures, len(self.numbers))
        self.model, self.least_area, self.seed = model, least_area, seed
        self.order = EpochOrder(len(self.numbers), seed)
        self.steps_per_epoch = len(self.numbers) // self.pictures  # what is left over comes in another epoch

    def __call__(self, step: int) -> Batch:
        epoch, place = divmod(step, self.steps_per_epoch)
        chosen = self.order(epoch)[place * self.pictures : (place + 1) * self.pictures]
        pixels = torch.from_numpy(np.stack([self.pixels[number] for number in self.numbers[chosen]]))
        rng = generator_of(self.seed, step)
        return picture_batch(random_crops(self.model.normalised(pixels), rng, self.least_area), self.model.patch)
