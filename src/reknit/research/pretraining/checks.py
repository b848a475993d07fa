"""What can be said of a comparison's arms before anything is trained."""

from __future__ import annotations

from collections.abc import Sequence

from reknit.errors import ReknitError
from reknit.evaluation.measure import Measure
from reknit.objectives.elastic import parse_size
from reknit.research.pretraining.config import (
    UNTRAINED,
    Arm,
    ComparisonConfig,
    shared_recipe,
    training_config,
    tuning_config,
)
from reknit.runs.config import SCRATCH
from reknit.runs.phases import check_batches, phases_of
from reknit.runs.start import load_start
from reknit.training.team import Team


def check_arms(arms: Sequence[Arm], config: ComparisonConfig, measures: Sequence[Measure]) -> None:
    """Raise ReknitError for what would else be found after hours of training."""
    if all(measure.of_language_models for measure in measures):
        raise ReknitError(
            "sentence pairs and perplexities are of language models alone, and means are of what every objective has: "
            "name a folder of search, classes or similarity with --eval too"
        )
    tuning = tuning_config(config, 0)
    for run in [*(training_config(arm, config, 0) for arm in arms), *([] if tuning is None else [tuning])]:
        for phase in phases_of(run):
            if phase.recipe.data.learns_from_start:
                name = phase.recipe.card.name
                raise ReknitError(f"{name} learns from a teacher, which a comparison does not have: leave it out")
        check_batches(run, Team())
    for arm in arms:
        if arm.recipe is None:
            load_start(training_config(arm, config, 0))
    if config.start == SCRATCH:
        recipes = [recipe for recipe in (shared_recipe(arm, config) for arm in arms) if recipe]
        untrained = [config.encoder for arm in arms if arm.name == UNTRAINED]
        for encoder in (*(recipe.encoder for recipe in recipes), *untrained):
            encoder.check()
            for layers, dims in map(parse_size, config.sizes):
                if layers > encoder.depth or dims > encoder.dim:
                    raise ReknitError(
                        f"sizes asks for {layers}x{dims} of an encoder of {encoder.depth} layers and {encoder.dim} "
                        "dimensions: change sizes or the encoder"
                    )
