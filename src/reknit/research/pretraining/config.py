"""What a comparison is: its arms, and what they have in common."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from reknit import catalogue
from reknit.data.text.passages import PASSAGE_WORDS
from reknit.encoders.spec import TextEncoderSpec
from reknit.errors import ReknitError
from reknit.evaluation.fine_tuning import FineTuningSpec
from reknit.jobs.precision import PrecisionChoice
from reknit.recipe import BudgetSpec, OptimiserSpec, Recipe
from reknit.runs.config import SCRATCH, ExpansionSpec, ProbeSpec, RunConfig, with_overrides

NO_TUNING = "none"
UNTRAINED = "untrained"
UNIGRAM = "unigram"
"""An arm of claims that is no training: a language model of the tokens' frequencies alone."""

LOSS = "training loss"
"""Nats per predicted token over the last tenth of the steps, where the objective trains a language model."""


@dataclass(frozen=True)
class ComparisonConfig:
    """All that the arms of a comparison share.

    corpus, corpus_share, start, eval: as in RunConfig; start "scratch" gives every arm of a seed the same first
    weights. budget: of each training. encoder, optimiser: in place of each recipe's own. max_length, tokens_per_batch:
    of texts that are read one by one; objectives on pairs keep their own batches, but max_length is the limit of every
    text, also of those that are measured. tuning: the recipe that every trained encoder is tuned with before it
    searches, by its optimiser with tuning_learning_rate, for tuning_budget; "none" for objectives that train a
    searching model themselves. sizes: "LAYERSxDIMS" that search and similarity are measured at besides, for elastic
    objectives. classified_texts: labelled texts a linear classifier learns from at most. fine_tuning: how encoders as
    trained are trained further on labelled texts, each with its arm's seed, for a second measure of every
    classification folder; not done unless fine_tuning.texts is set. curve_points: values along each training.
    """

    corpus: str
    budget: BudgetSpec
    eval: tuple[str, ...] = ()
    start: str = SCRATCH
    encoder: TextEncoderSpec = field(default_factory=lambda: TextEncoderSpec(pooling="mean"))
    optimiser: OptimiserSpec = field(default_factory=lambda: OptimiserSpec(learning_rate=5e-4))
    max_length: int = 128
    tokens_per_batch: int = 4096
    tuning: str = "infonce-pairs"
    tuning_budget: BudgetSpec = field(default_factory=lambda: BudgetSpec(tokens=1_000_000))
    tuning_learning_rate: float = 5e-4
    sizes: tuple[str, ...] = ()
    classified_texts: int = 4000
    fine_tuning: FineTuningSpec = field(default_factory=FineTuningSpec)
    curve_points: int = 8
    passage_words: int = PASSAGE_WORDS
    corpus_share: float = 1.0
    precision: PrecisionChoice = "auto"
    max_bad: int = 100


@dataclass(frozen=True)
class Arm:
    """A recipe as published, and the settings (`a.b=c` of its own fields) that are changed of it; or, without a recipe,
    what is tuned and measured as the others are and not trained before: a model that is there already, or what all
    arms of a seed start from.

    name: as given; of a model its folder or hub id; "untrained" for the start.
    """

    name: str
    recipe: Recipe | None
    settings: tuple[str, ...] = ()


def parse_arms(texts: Sequence[str]) -> list[Arm]:
    """Arms as written on the command line: a recipe's name, and after colons what is changed of it.

    "mlm:objective.ratio=0.15" is mlm with another ratio; what has a slash in it is a model's folder or hub id;
    "untrained" is the start of all arms, which tells what training gives at all. Raises
    ReknitError for an unknown recipe or field, and for fewer than two arms or one twice.
    """
    arms = [parse_arm(text) for text in texts]
    names = [arm.name for arm in arms]
    if len(arms) < 2:
        raise ReknitError("a comparison needs two arms at least: name several recipes")
    repeated = [name for name in names if names.count(name) > 1]
    if repeated:
        raise ReknitError(f"the arm {repeated[0]!r} is given twice: name each once")
    return arms


def shared_recipe(arm: Arm, comparison: ComparisonConfig) -> Recipe | None:
    """The arm's recipe with all that the comparison fixes; what the arm's own settings change of it stays changed."""
    if arm.recipe is None:
        return None
    data = arm.recipe.data.as_compared(comparison.max_length, comparison.tokens_per_batch)
    fixed = replace(arm.recipe, encoder=comparison.encoder, optimiser=comparison.optimiser, data=data)
    found = with_overrides(fixed, arm.settings)
    shape = found.encoder
    if not isinstance(shape, TextEncoderSpec) or shape.vocabulary != comparison.encoder.vocabulary:
        raise ReknitError(f"{arm.name}: all arms share the tokenizer; set encoder.vocabulary of the comparison")
    if found.data.longest > max(data.longest, comparison.max_length):
        raise ReknitError(f"{arm.name}: max_length of {comparison.max_length} is the limit of all arms: raise that")
    return found


def training_config(arm: Arm, comparison: ComparisonConfig, seed: int) -> RunConfig:
    """The arm's training as a run; without a recipe, a run that starts from the model and trains nothing."""
    config = replace(shared_run(comparison, seed), pretrain=shared_recipe(arm, comparison), keep="last")
    return config if arm.recipe or arm.name == UNTRAINED else replace(config, start=arm.name)


def tuning_config(comparison: ComparisonConfig, seed: int) -> RunConfig | None:
    """The tuning that follows every arm's training, the same for all; None for no tuning."""
    if comparison.tuning == NO_TUNING:
        return None
    recipe = catalogue.find(comparison.tuning)
    optimiser = replace(recipe.optimiser, learning_rate=comparison.tuning_learning_rate)
    tuning = replace(recipe, encoder=comparison.encoder, optimiser=optimiser)
    return replace(shared_run(comparison, seed), tune=tuning, budget=comparison.tuning_budget, keep="last")


def shared_run(comparison: ComparisonConfig, seed: int) -> RunConfig:
    """What every arm's run has in common."""
    return RunConfig(
        corpus=comparison.corpus,
        start=comparison.start,
        budget=comparison.budget,
        seed=seed,
        eval=comparison.eval,
        precision=comparison.precision,
        passage_words=comparison.passage_words,
        corpus_share=comparison.corpus_share,
        max_length=comparison.max_length,
        max_bad=comparison.max_bad,
        probe=ProbeSpec(per_phase=comparison.curve_points),
        expansion=ExpansionSpec(words=0),
    )


def parse_arm(text: str) -> Arm:
    """One arm as written. Raises ReknitError for an unknown recipe or field."""
    if text == UNTRAINED or "/" in text.split(":")[0]:
        return Arm(text, None)
    name, *settings = text.split(":")
    arm = Arm(text, catalogue.find(name), tuple(settings))
    with_overrides(catalogue.find(name), arm.settings)  # a field that does not exist is found here
    return arm
