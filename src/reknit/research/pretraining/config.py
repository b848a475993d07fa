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
from reknit.ranges import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt
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
    """All that the arms of a comparison share."""

    corpus: str
    """Folder or file of texts, or "python-docs" for the documentation that this Python carries; `--corpus` of the
    command.
    """
    budget: BudgetSpec
    """What each training may spend; `--budget` of the command."""
    eval: tuple[str, ...] = ()
    """Folders with labels (search, classes, similarity, sentence pairs) or texts (perplexity) that the arms are
    measured by; `--eval` of the command.
    """
    start: str = SCRATCH
    """Model that every arm starts from: a folder, a Hugging Face hub id, or "scratch" for random weights, the same for
    all arms of a seed.
    """
    encoder: TextEncoderSpec = field(default_factory=lambda: TextEncoderSpec(pooling="mean"))
    """The encoder of every arm where they start from scratch, in place of each recipe's own."""
    optimiser: OptimiserSpec = field(default_factory=lambda: OptimiserSpec(learning_rate=5e-4))
    """The optimiser of every arm and its learning-rate schedule, in place of each recipe's own."""
    max_length: PositiveInt = 128
    """Longest text in tokens, in training and where texts are measured. Objectives on single texts take it for their
    own; those on pairs may have lower limits.
    """
    tokens_per_batch: PositiveInt = 4096
    """Packed tokens of a training step, for objectives on single texts; those on pairs keep their own batches."""
    tuning: str = "infonce-pairs"
    """The recipe that every trained encoder is tuned by before search and similarity are measured; "none" leaves it
    out, for objectives that train a search model themselves.
    """
    tuning_budget: BudgetSpec = field(default_factory=lambda: BudgetSpec(tokens=1_000_000))
    """What each tuning may spend."""
    tuning_learning_rate: NonNegativeFloat = 5e-4
    """Highest learning rate of the tuning; the rest of its optimiser is as in the tuning's recipe."""
    sizes: tuple[str, ...] = ()
    """Smaller sizes of an encoder that search and similarity are measured at too, for elastic objectives, as
    LAYERSxDIMENSIONS, such as 2x64.
    """
    classified_texts: PositiveInt = 4000
    """Labelled texts that a linear classifier learns from, at most."""
    fine_tuning: FineTuningSpec = field(default_factory=FineTuningSpec)
    """Fine-tuning of every trained encoder on labelled texts, with its arm's seed, as a second measure of every
    classification folder; it is done where fine_tuning.texts is above 0.
    """
    curve_points: NonNegativeInt = 8
    """Probes during each training, at most: the points of the curve of quality against compute."""
    passage_words: PositiveInt = PASSAGE_WORDS
    """Words of a passage, at most; longer documents are cut into passages."""
    corpus_share: PositiveFloat = 1.0
    """Fraction of the documents that are read, chosen by a hash of their ids; the others are treated as if they did not
    exist. 1 or more for all.
    """
    precision: PrecisionChoice = "auto"
    """Number format of the matrix products: "float32", "bfloat16", or "auto" for bfloat16 where the machine has units
    for it.
    """
    max_bad: NonNegativeInt = 100
    """Unreadable records of the corpus that are skipped before the comparison gives up; `--max-bad` of the command."""


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
