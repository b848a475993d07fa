"""Every recipe in the catalogue passes every check; a new recipe gets them for nothing."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import recipe_checks as checks
import torch
from naive_losses import chance
from toy_models import (
    ORDINARY_IDS,
    SEVERAL,
    TOY_VOCABULARY,
    batch_for,
    fit_for,
    toy_batch,
    toy_lesson,
    toy_pair,
    toy_pairs,
    toy_queries,
    toy_sequence,
)

from reknit.catalogue import recipes
from reknit.data.batch import Batch
from reknit.objectives.base import EmbeddingObjective
from reknit.objectives.clustered_token_detection import ClusteredTokenDetectionSpec
from reknit.objectives.explicit_ngrams import ExplicitNgramSpec
from reknit.objectives.predictions import Predictions, ReconstructionObjective
from reknit.objectives.related_texts import RelatedTextsSpec
from reknit.objectives.replaced_token_detection import RandomTokenDetectionSpec
from reknit.recipe import Recipe
from reknit.sources.pairs import PairSpec
from reknit.sources.passages import PassageSpec
from reknit.sources.queries import QuerySpec
from reknit.sources.spec import DataSpec

RECIPES = recipes()
GOLDEN = Path(__file__).parent / "golden.json"
# A training in two parts is checked in both.
LATER = {
    f"{name}, second part": replace(recipe, objective=replace(recipe.objective, **{begin: 0.0}))
    for name, recipe in RECIPES.items()
    for begin in ("switch_at", "warm_up", "counting")
    if hasattr(recipe.objective, begin)
}


def tasks_alone(recipe: Recipe) -> dict[str, Recipe]:
    """By its tasks, a recipe of which each step draws one: with that one alone. Empty for any other."""
    tasks = getattr(recipe.objective, "tasks", [])
    weights = {task: {f"{other}_weight": float(other == task) for other in tasks} for task in tasks}
    return {task: replace(recipe, objective=replace(recipe.objective, **weights[task])) for task in tasks}


# It is checked in each of them too.
ALONE = {f"{name}, {task} alone": one for name, recipe in RECIPES.items() for task, one in tasks_alone(recipe).items()}
VARIANTS = RECIPES | LATER | ALONE
every_recipe = pytest.mark.parametrize("recipe", VARIANTS.values(), ids=list(VARIANTS))
each_recipe_once = pytest.mark.parametrize("recipe", RECIPES.values(), ids=list(RECIPES))


@every_recipe
@pytest.mark.parametrize("pooling", ["cls", "mean"])
def test_gradients_reach_encoder(recipe: Recipe, pooling: str) -> None:
    encoder, objective = toy_pair(recipe, pooling=pooling)
    checks.check_gradients_reach_encoder(objective, encoder, batch_for(recipe, 0))


@every_recipe
def test_bottleneck(recipe: Recipe) -> None:
    encoder, objective = toy_pair(recipe)
    of_vectors = {"decoder", "contrastive", "adversarial", "distilled", "decoded_2x32"}
    for name in of_vectors & set(objective(encoder, batch_for(recipe, 0), checks.generator(0)).losses):
        checks.check_bottleneck(objective, encoder, batch_for(recipe, 0), name)


def neighbours(recipe: Recipe) -> tuple[Batch, Batch]:
    """Two batches that begin with the same sequence, or the same pair, and go on differently."""
    lengths = ((20, 4, 30), (13, 24, 3, 3, 40))
    per_example = 2 if isinstance(recipe.data, PairSpec) else 1
    first = [toy_sequence(11 + 3 * number, checks.generator(number + 1)) for number in range(per_example)]
    made = []
    for seed, rest in enumerate(lengths):
        sequences = [*first, *(toy_sequence(length, checks.generator(seed + 7)) for length in rest[per_example - 1 :])]
        batch = Batch.pack(sequences, TOY_VOCABULARY, sequences_per_example=per_example)
        lesson = toy_lesson(len(sequences), 5) if isinstance(recipe.data, QuerySpec) else None
        made.append(fit_for(recipe, replace(batch, teacher_targets=lesson)))
    return made[0], made[1]


@every_recipe
@pytest.mark.parametrize("pooling", ["cls", "mean"])
def test_packing_invariance(recipe: Recipe, pooling: str) -> None:
    encoder, objective = toy_pair(recipe, pooling=pooling)
    checks.check_packing_invariance(objective, encoder, *neighbours(recipe))


@every_recipe
@pytest.mark.parametrize("pooling", ["cls", "mean"])
def test_padding_invariance(recipe: Recipe, pooling: str) -> None:
    encoder, objective = toy_pair(recipe, pooling=pooling)
    checks.amplify(objective, encoder)
    checks.check_padding_invariance(objective, encoder, neighbours(recipe)[1])


def entropy_floors(recipe: Recipe, pairs: int) -> dict[str, float]:
    """Chance by the name of the loss; BERT's kept tokens are shown, so they may be known."""
    if isinstance(recipe.objective, RelatedTextsSpec):
        own = 1 / (1 + recipe.objective.negatives)
        chosen = -own * math.log(own) - (1 - own) * math.log(1 - own)
        return {"related": chosen, "masked": (1 - recipe.objective.masked.keep_share) * chance(ORDINARY_IDS)}
    if isinstance(recipe.data, PairSpec):
        same_side = getattr(recipe.objective, "same_side", False)
        return {"contrastive": chance(2 * pairs - 1 if same_side else pairs)}
    if isinstance(recipe.data, QuerySpec):
        return {"ranking": ranking_chance()}
    spec = getattr(recipe.objective, "masked", recipe.objective)
    kept = 0.0 if isinstance(spec, ExplicitNgramSpec) else getattr(spec, "keep_share", 0.1)
    words = chance(ORDINARY_IDS)
    every = {"masked": (1 - kept) * words, "causal": words, "decoder": words, "generator": (1 - kept) * words}
    every |= {"denoised": getattr(recipe.objective, "ratio", 0.0) * words, "bottleneck": words}
    every |= {f"ahead_{step}": words for step in range(1, 9)}
    # None for "ngram": what shows a bigram shows its tokens, and a thousand bigrams are too many to be learnt in time.
    weights = {name: found.weight for name, found in shown_by(recipe).items()}
    every |= {"identifiers": unseen_share(recipe, "identifiers") * words}
    every |= {name: (1 - kept) * words for name in weights if name.startswith(("masked_", "decoded_"))}
    return {name: weights[name] * floor for name, floor in every.items() if name in weights} | detection_floor(recipe)


def shown_by(recipe: Recipe) -> dict[str, Predictions]:
    """Predictions of every name that an untrained model makes; of a recipe that draws its task, of several steps."""
    encoder, objective = toy_pair(recipe)
    found = {}
    for step in range(12 if hasattr(recipe.objective, "tasks") else 1):
        found |= objective.predictions(encoder, batch_for(recipe, step), checks.generator(step))
    return found


def unseen_share(recipe: Recipe, name: str) -> float:
    """The share of what is asked for that is hidden; what is not can be copied."""
    encoder, objective = toy_pair(recipe)
    shares = []
    for step in range(45, 60):
        found = objective.predictions(encoder, batch_for(recipe, step + 100), checks.generator(step))
        shares += [float(found[name].unseen.float().mean())] if name in found else []
    return sum(shares) / len(shares) if shares else 0.0


def detection_floor(recipe: Recipe) -> dict[str, float]:
    """Random replacements in random text cannot be told from the rest: the entropy of how many there are.

    A generator's can be, until it fills in all tokens alike, so there is no floor for them. Nor can random spans.
    Tokens of small clusters are replacements more often than others: tests/objectives has the floor of C-RTS.
    """
    if getattr(recipe.objective, "tagging_weight", 0.0):
        return {"tagging": recipe.objective.tagging_weight * chance(2)}
    random = isinstance(recipe.objective, RandomTokenDetectionSpec) or (
        isinstance(recipe.objective, ClusteredTokenDetectionSpec) and recipe.objective.warm_up > 0
    )
    if not random:
        return {}
    replaced = recipe.objective.ratio * (1 - 1 / ORDINARY_IDS)
    return {"detection": -replaced * math.log(replaced) - (1 - replaced) * math.log(1 - replaced)}


def ranking_chance() -> float:
    """The divergence of equal probabilities from a random lesson's, which is the best that noise allows, on average."""
    lessons = [toy_queries(step + 145).teacher_targets for step in range(15)]
    spread = [torch.xlogy(one.targets, one.targets).sum(dim=1) + math.log(15) for one in lessons if one]
    return float(torch.cat(spread).mean())


@every_recipe
def test_entropy_floor(recipe: Recipe) -> None:
    encoder, objective = toy_pair(recipe)
    fresh: dict[type[DataSpec], Callable[[int], Batch]] = {
        PairSpec: lambda step: toy_pairs(step + 100, pairs=16),
        QuerySpec: lambda step: toy_queries(step + 100),
        PassageSpec: lambda step: batch_for(recipe, step + 100),
    }
    checks.check_entropy_floor(
        objective,
        encoder,
        fresh[type(recipe.data)],
        entropy_floors(recipe, pairs=16),
        learning_rate=1e-2 if isinstance(recipe.data, PassageSpec) else 1e-3,
    )


@every_recipe
def test_no_peek(recipe: Recipe) -> None:
    encoder, objective = toy_pair(recipe)
    if isinstance(objective, ReconstructionObjective):
        per_example = 2 if isinstance(recipe.data, PairSpec) else 1
        batch = replace(toy_batch(3, SEVERAL), sequences_per_example=per_example)
        checks.check_no_peek(objective, encoder, fit_for(recipe, batch))
    else:
        assert isinstance(objective, EmbeddingObjective), "an objective must show its predictions or its vectors"


@every_recipe
def test_teacher_moves(recipe: Recipe) -> None:
    encoder, objective = toy_pair(recipe)
    if hasattr(objective, "teacher"):
        checks.check_teacher_moves(objective, encoder, batch_for(recipe, 0))


@every_recipe
def test_against_naive(recipe: Recipe) -> None:
    encoder, objective = toy_pair(recipe)
    if isinstance(recipe.data, QuerySpec):
        batch = toy_queries(4)
    elif isinstance(recipe.data, PairSpec):
        batch = replace(toy_pairs(4, pairs=6), groups=torch.tensor([0, 1, 1, 2, 3, 1]))
        if isinstance(objective, EmbeddingObjective):
            checks.check_positives(objective, toy_pairs(4, pairs=6))
    else:
        batch = fit_for(recipe, toy_batch(4, SEVERAL))
    checks.check_against_naive(objective, encoder, batch)


@every_recipe
def test_loss_falls(recipe: Recipe) -> None:
    encoder, objective = toy_pair(recipe)
    batch = toy_pairs(9, twins=True) if isinstance(recipe.data, PairSpec) else batch_for(recipe, 9)
    # In a game each makes the other's part harder, and a ranker must know something before it can teach. Of several
    # tasks, each needs steps of its own.
    steps = 150 if hasattr(objective, "ranker") else max(40, 15 * len(getattr(recipe.objective, "tasks", [])))
    checks.check_loss_falls(objective, encoder, batch, steps=steps)


def current_first_losses(recipe: Recipe) -> dict[str, float]:
    # The mean tells untrained vectors apart; [CLS] alone hardly does, and the losses of pairs would all be chance.
    found = {}
    for one in tasks_alone(recipe).values() or (recipe,):
        encoder, objective = toy_pair(one, pooling="mean")
        found |= checks.first_losses(objective, encoder, batch_for(recipe, 6))
    return found


@each_recipe_once
def test_first_losses_are_golden(recipe: Recipe) -> None:
    """Regenerate after an intended change: `python tests/recipes/regenerate_golden.py`."""
    golden = json.loads(GOLDEN.read_text())
    assert recipe.card.name in golden, "no golden losses; run python tests/recipes/regenerate_golden.py"
    assert current_first_losses(recipe) == pytest.approx(golden[recipe.card.name], abs=1e-4)


@each_recipe_once
def test_card_is_complete(recipe: Recipe) -> None:
    card = recipe.card
    for field in ("name", "title", "family", "paper", "adds", "facts", "claim", "citation"):
        assert getattr(card, field).strip(), f"the card has no {field}"
    assert card.citation.startswith("@")
    assert (card.status == "deviates") == bool(card.deviates)
    assert 1900 < card.year < 2100
    assert math.isfinite(recipe.optimiser.learning_rate)
    assert not isinstance(recipe.data, PairSpec) or recipe.data.pair_kinds
