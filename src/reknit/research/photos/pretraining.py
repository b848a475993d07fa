"""Pre-training of one arm: the loop of every run, on given pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from reknit.data.images.reading import PictureReport
from reknit.data.images.store import PictureCorpus
from reknit.jobs.interrupt import StopRequest
from reknit.jobs.precision import best_device, resolve_precision
from reknit.models.picture_model import PictureModel
from reknit.objectives.base import Objective
from reknit.recipe import BudgetSpec, Recipe
from reknit.training.checkpoint import CheckpointFolder
from reknit.training.log import MetricsLog
from reknit.training.trainer import PhaseSettings, Trainer

_POINTS = 20


def pretrain(
    recipe: Recipe,
    model: PictureModel,
    objective: Objective,
    pixels: np.ndarray,
    numbers: np.ndarray,
    steps: int,
    folder: Path,
    seed: int,
    stop: StopRequest,
) -> list[dict[str, float]]:
    """Train encoder and objective in place by the recipe; returns the mean loss of each of 20 parts of the training.

    pixels: [N, size, size, 3]. numbers: of the pictures that are trained on. folder: of the checkpoints; what is
    finished there is loaded, what was stopped is resumed. Raises Interrupted, with everything saved.
    """
    checkpoints, log = CheckpointFolder(folder), MetricsLog(folder / "metrics.jsonl")
    if checkpoints.finished() is not None:
        checkpoints.load_encoder("final", model.encoder)
        checkpoints.load_objective("final", objective)
        return _curve(log)
    corpus = PictureCorpus(pixels, np.setdiff1d(np.arange(len(pixels)), numbers), PictureReport(), "the pictures")
    folder.mkdir(parents=True, exist_ok=True)
    settings = PhaseSettings(
        name="pretrain",
        optimiser=recipe.optimiser,
        budget=BudgetSpec(),
        seed=seed,
        precision=resolve_precision("auto", best_device()),
        steps=steps,
        probes=0,
    )
    source = recipe.data.open(corpus, model, folder, seed)
    Trainer(settings, model.encoder, objective, source, checkpoints, log, stop=stop).run()
    return _curve(log)


def _curve(log: MetricsLog) -> list[dict[str, float]]:
    lines = log.read()
    parts = np.array_split(np.arange(len(lines)), min(_POINTS, len(lines)))
    return [
        {"step": float(lines[part[-1]]["step"]), "loss": float(np.mean([lines[row]["loss"] for row in part]))}
        for part in parts
    ]
