"""Pre-training on pictures, then fine-tuning on few labels: what claims about encoders of pictures are measured by."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from reknit.claim import Experiment, Outcome, Pair, Size
from reknit.errors import ReknitError
from reknit.jobs.interrupt import StopRequest

# What reads data and trains is imported where it is used: the catalogue imports this file.
if TYPE_CHECKING:
    from reknit.models.picture_model import PictureModel
    from reknit.objectives.base import Objective
    from reknit.recipe import Recipe
    from reknit.research.photos.material import Drawn, LabelledPictures

SCRATCH, MEAN, CONTROLLED = "scratch", "mean", "simmim"
ACCURACY, PIXELS = "fine-tuned accuracy", "held-out pixel loss"
_BELOW = "img/cifar10"
_HELD_OUT = 256
logger = logging.getLogger("reknit")


@dataclass(frozen=True)
class PhotoExperiment(Experiment):
    """The same small vision transformer, pre-trained by every arm on the same pictures without labels, then trained
    whole on the same few labels, with one learning rate for all.

    Arms: a recipe of pictures, also with settings ("simmim:objective.head_layers=4"); SCRATCH, which is fine-tuned from
    the initial weights; MEAN, which guesses the mean picture and is no model. PIXELS is the loss on masked patches of
    pictures of the other split, of SCRATCH with a linear head fitted by least squares; ACCURACY is on that split too.
    The controls: SimMIM's pixel loss must be below that of SCRATCH and that of MEAN.

    archive: below the data folder, with the folders train/LABEL and test/LABEL. pictures: to pre-train on, drawn by the
    seed; labels: of them, as many of each label; judging: pictures of the other split. steps, pictures_per_batch,
    pretraining_rate: of pre-training. epochs, labels_per_batch, rate: of fine-tuning. picture, patch, unit: pixels of a
    side, pixels of a patch's, patches of a masked square's. dim, depth, heads: of the encoder. least_area: of the
    random parts of pictures that both trainings see.
    """

    control: ClassVar[Pair | None] = Pair(CONTROLLED, SCRATCH, PIXELS)

    archive: str = "img/cifar10-omniglot.tar.xz"
    pictures: int = 6000
    labels: int = 1000
    judging: int = 2000
    steps: int = 750
    pictures_per_batch: int = 32
    pretraining_rate: float = 1e-3
    epochs: int = 15
    labels_per_batch: int = 32
    rate: float = 1e-3
    picture: int = 32
    patch: int = 4
    unit: int = 2
    dim: int = 96
    depth: int = 4
    heads: int = 4
    least_area: float = 0.67

    def at(self, size: Size) -> PhotoExperiment:
        if size == "small":
            return self
        return replace(
            self, pictures=15_000, steps=24_000, pictures_per_batch=128, epochs=60, dim=256, depth=8, heads=8
        )

    def inputs(self) -> tuple[str, ...]:
        return (self.archive,)

    def controls(self, pairs: Sequence[Pair]) -> tuple[Pair, ...]:
        assert self.control is not None
        return (self.control, Pair(CONTROLLED, MEAN, PIXELS))

    def spends(self) -> str:
        return f"{self.steps} steps of {self.pictures_per_batch} pictures"

    def lower_is_better(self, measure: str) -> bool:
        return measure == PIXELS

    def flops(self, arm: str) -> float:
        """Matrix products of the encoder, and attention; a head's layers as the encoder's."""
        if arm == MEAN:
            return 0.0
        rows = (self.picture // self.patch) ** 2 + 1
        layer = rows * (24.0 * self.dim**2 + 4.0 * rows * self.dim)
        recipe = self.recipe(arm)
        head = getattr(recipe.objective, "head_layers", 0) if recipe else 0
        trained = 0 if recipe is None else 3 * self.steps * self.pictures_per_batch * (self.depth + head)
        return layer * (trained + self.depth * (3 * self.epochs * self.labels + self.judging))

    def prepare(self, data: Path, folder: Path, arms: Sequence[str]) -> None:
        from reknit.research.photos.material import unpack

        for arm in arms:
            self.recipe(arm)
        unpack(data / self.archive, _BELOW, folder / "pictures")
        for split in ("train", "test"):
            self._split(folder, split)

    def recipe(self, arm: str) -> Recipe | None:
        """The recipe of an arm with its settings and this experiment's sizes; None for SCRATCH and MEAN.

        Raises ReknitError for what is no recipe of pictures.
        """
        from reknit import catalogue
        from reknit.data.images.store import PictureCorpus
        from reknit.runs.config import with_overrides

        name, *settings = arm.split(":")
        if name in (SCRATCH, MEAN):
            if settings:
                raise ReknitError(f"the arm {name} has no settings; leave {settings[0]} out")
            return None
        found = catalogue.find(name)
        if found.data.corpus is not PictureCorpus:
            raise ReknitError(f"{name} does not train on pictures, so it is no arm of this experiment")
        sizes = {
            **{f"encoder.{size}": getattr(self, size) for size in ("picture", "patch", "dim", "depth", "heads")},
            "encoder.intermediate": 4 * self.dim,
            "data.pictures_per_batch": self.pictures_per_batch,
            "data.least_area": self.least_area,
            "objective.unit": self.unit,
            "optimiser.learning_rate": self.pretraining_rate,
        }
        words = (*(f"{path}={value}" for path, value in sizes.items()), *settings)
        recipe = with_overrides(found, words)
        recipe.encoder.check()
        return recipe

    def run(self, arm: str, seed: int, data: Path, folder: Path, stop: StopRequest) -> Outcome:
        from reknit.jobs.precision import best_device, resolve_precision
        from reknit.pictures.held_out import held_out_losses, mean_picture
        from reknit.research.photos.fine_tuning import FineTuning, fine_tuned_accuracy
        from reknit.research.photos.material import LabelledPictures

        began, recipe, drawn = time.perf_counter(), self.recipe(arm), self._drawn(folder, seed)
        train, test = self._split(folder, "train"), self._split(folder, "test")
        shape = recipe or self.recipe(CONTROLLED)
        assert shape is not None
        model, objective = self._built(shape, seed)
        curve: list[dict[str, float]] = []
        if recipe is not None:
            curve = self._pretrain(recipe, model, objective, train, drawn, folder / "arms", arm, seed, stop)
        elif arm == SCRATCH:
            self._fit_untrained(model, objective, train, drawn)
        mean = mean_picture(train.pixels, drawn.unlabelled)
        losses = held_out_losses(objective, model, test.pixels, drawn.judging[:_HELD_OUT], mean)
        assert losses is not None
        values: dict[str, float | None] = {PIXELS: losses.mean_picture if arm == MEAN else losses.losses["pixels"]}
        if arm == MEAN:
            return Outcome(values | {ACCURACY: None}, {"seconds": time.perf_counter() - began})
        spec = FineTuning(
            self.epochs, self.labels_per_batch, replace(shape.optimiser, learning_rate=self.rate), self.least_area
        )
        learnt = LabelledPictures(train.pixels[drawn.learnt], train.labels[drawn.learnt])
        judging = LabelledPictures(test.pixels[drawn.judging], test.labels[drawn.judging])
        precision = resolve_precision("auto", best_device())
        values[ACCURACY] = fine_tuned_accuracy(model, learnt, judging, spec, seed, precision, stop)
        logger.info("%s, seed %d: %s", arm, seed, ", ".join(f"{name} {value:.4f}" for name, value in values.items()))
        return Outcome(values, {"seconds": time.perf_counter() - began, "flops": self.flops(arm)}, curve)

    def _built(self, recipe: Recipe, seed: int) -> tuple[PictureModel, Objective]:
        """The encoder that all arms of a seed begin with, and an objective with fresh heads."""
        import torch

        from reknit.encoders.picture_spec import PictureEncoderSpec
        from reknit.jobs.precision import best_device
        from reknit.models.picture_model import PictureModel
        from reknit.training.trainer import step_seed

        assert isinstance(recipe.encoder, PictureEncoderSpec)
        torch.manual_seed(seed)
        model = PictureModel(recipe.encoder.build().to(best_device()), pooling=recipe.encoder.pooling)
        torch.manual_seed(step_seed(seed, "photos", "heads"))
        objective = recipe.objective.build(model.encoder, model.vocabulary, model.pooling).to(best_device())
        return model, objective

    def _pretrain(
        self,
        recipe: Recipe,
        model: PictureModel,
        objective: Objective,
        train: LabelledPictures,
        drawn: Drawn,
        folder: Path,
        arm: str,
        seed: int,
        stop: StopRequest,
    ) -> list[dict[str, float]]:
        """Train in place, resuming what was stopped; returns some points of the loss."""
        from reknit.research.outcomes import file_name
        from reknit.research.photos.pretraining import pretrain

        place = folder / file_name(arm) / f"seed-{seed}"
        return pretrain(recipe, model, objective, train.pixels, drawn.unlabelled, self.steps, place, seed, stop)

    def _fit_untrained(self, model: PictureModel, objective: Objective, train: LabelledPictures, drawn: Drawn) -> None:
        from reknit.objectives.masked_pictures import MaskedPictures
        from reknit.research.photos.untrained import fit_head

        assert isinstance(objective, MaskedPictures)
        fit_head(objective, model, train.pixels[drawn.unlabelled])

    def _split(self, folder: Path, split: str) -> LabelledPictures:
        from reknit.research.photos.material import read_split

        return read_split(folder / "pictures" / split, self.picture, folder / split)

    def _drawn(self, folder: Path, seed: int) -> Drawn:
        from reknit.research.photos.material import draw

        train, test = (self._split(folder, split).labels for split in ("train", "test"))
        sizes = {"pictures": self.pictures, "labels": self.labels, "judging": self.judging}
        return draw(train, test, **sizes, seed=seed)
