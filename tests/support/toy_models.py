"""A tiny encoder and random batches, for checks that run on every recipe."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import torch
from torch import nn
from torch.nn import functional
from toys import toys_of
from twins import twin_of

from reknit.corruptions.masking import ordinary_tokens
from reknit.data.batch import Batch, TeacherTargets, Vocabulary, counted_spans
from reknit.encoders.huggingface.loading import HuggingFaceEncoder
from reknit.encoders.spec import TextEncoderSpec
from reknit.objectives.base import Objective, ObjectiveSpec
from reknit.recipe import Recipe
from reknit.sources.pairs import PairSpec
from reknit.sources.passages import PassageSpec
from reknit.sources.queries import QuerySpec
from reknit.sources.spec import DataSpec

TOY_VOCABULARY = Vocabulary(size=64, pad=0, mask=4, cls=2, sep=3, special=(0, 1, 2, 3, 4), sentence_ends=(61, 62, 63))
ORDINARY_IDS = 59
RAGGED = (5, 17, 9, 12, 24, 3, 14, 20)
# Enough that a small share of the texts is more than one, and a small share of the tokens shows what is wrong with it.
SEVERAL = (5, 14, 7) * 8


def toy_encoder(seed: int = 0, dropout: float = 0.1, **changes: Any) -> HuggingFaceEncoder:
    torch.manual_seed(seed)
    shape = TextEncoderSpec(dim=32, depth=2, heads=2, intermediate=64, max_positions=64, dropout=dropout, **changes)
    return shape.build(TOY_VOCABULARY.size)


def toy_pair(
    recipe: Recipe, seed: int = 0, pooling: str = "cls", progress: float = 0.0
) -> tuple[HuggingFaceEncoder, Objective]:
    """An encoder and the recipe's objective, as it is when this share of its training is over."""
    toys = toys_of(recipe)
    encoder, vocabulary = (toys.encoder(seed), toys.VOCABULARY) if toys else (toy_encoder(seed), TOY_VOCABULARY)
    objective = toy_spec(recipe.objective).build(encoder, vocabulary, pooling)
    if progress:
        twin_of(objective).prepare(objective)
        objective.after_step(encoder, progress)
    return encoder, objective


def toy_spec(spec: ObjectiveSpec) -> ObjectiveSpec:
    """The settings for toy texts."""
    return replace(spec, **twin_of(spec).toy)


def amplify(*modules: nn.Module, factor: float = 4.0) -> None:
    """Scale every matrix up: freshly drawn weights are so small that attention is flat and mistakes hardly show."""
    with torch.no_grad():
        for module in modules:
            for parameter in module.parameters():
                if parameter.ndim > 1:
                    parameter.mul_(factor)


def toy_sequence(length: int, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """[CLS], length - 2 independent uniform ordinary tokens, [SEP]; about two thirds of the tokens start a word."""
    tokens = torch.randint(5, TOY_VOCABULARY.size, (length,), generator=generator)
    tokens[0], tokens[-1] = TOY_VOCABULARY.cls, TOY_VOCABULARY.sep
    special = torch.zeros(length, dtype=torch.bool)
    special[0] = special[-1] = True
    starts = (torch.rand(length, generator=generator) < 0.67) | special
    starts[1] = True
    return tokens, special, starts


def toy_texts(*words: list[int]) -> Batch:
    """[CLS], the tokens given, [SEP] of each text; every token starts a word."""
    made = []
    for one in words:
        tokens = torch.tensor([TOY_VOCABULARY.cls, *one, TOY_VOCABULARY.sep])
        special = torch.zeros(len(tokens), dtype=torch.bool)
        special[0] = special[-1] = True
        made.append((tokens, special, torch.ones_like(special)))
    return Batch.pack(made, TOY_VOCABULARY)


def toy_batch(seed: int, lengths: tuple[int, ...] = RAGGED) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    return Batch.pack([toy_sequence(length, generator) for length in lengths], TOY_VOCABULARY)


def toy_pairs(seed: int, pairs: int = 8, twins: bool = False) -> Batch:
    """Pairs of texts that have nothing to do with each other, or of each text with itself."""
    generator = torch.Generator().manual_seed(seed)
    sequences = []
    for _ in range(pairs):
        first = toy_sequence(int(torch.randint(5, 15, (), generator=generator)), generator)
        second = first if twins else toy_sequence(int(torch.randint(5, 15, (), generator=generator)), generator)
        sequences += [first, second]
    return Batch.pack(sequences, TOY_VOCABULARY, sequences_per_example=2)


def toy_lesson(examples: int, seed: int, documents: int = 16) -> TeacherTargets:
    """Random vectors as documents, and for each example a random ranking that leaves one of them out."""
    generator = torch.Generator().manual_seed(seed)
    vectors = functional.normalize(torch.randn(documents, 32, generator=generator), dim=-1)
    left_out = torch.zeros(examples, documents, dtype=torch.bool)
    left_out[torch.arange(examples), torch.arange(examples) % documents] = True
    scores = 3 * torch.randn(examples, documents, generator=generator)
    return TeacherTargets(vectors, functional.softmax(scores.masked_fill(left_out, -torch.inf), dim=-1), left_out)


def toy_queries(seed: int, lengths: tuple[int, ...] = RAGGED) -> Batch:
    """Random texts with a teacher's ranking, which has nothing to do with them."""
    return replace(toy_batch(seed, lengths), teacher_targets=toy_lesson(len(lengths), seed))


def with_spans(batch: Batch, seed: int) -> Batch:
    """The batch with tagged spans that have nothing to do with its tokens: half of the ordinary ones, a new span at
    every other of them. The first text's spans depend on no neighbour."""
    draws = torch.rand(batch.num_tokens, 2, generator=generator(seed))
    inside = ordinary_tokens(batch) & (draws[:, 0] < 0.5)
    numbers = (draws[:, 1] < 0.5).cumsum(0).masked_fill(~inside, -1)
    return replace(batch, tagged=counted_spans(numbers, batch.cu_seqlens))


def kind_of(recipe: Recipe) -> str:
    """What a batch of the recipe is made of: "passages", "pairs" or "queries", or the name of its toys."""
    kinds: dict[type[DataSpec], str] = {PassageSpec: "passages", PairSpec: "pairs", QuerySpec: "queries"}
    toys = toys_of(recipe)
    return toys.__name__.rpartition(".")[2] if toys else kinds[type(recipe.data)]


def tagger_of(recipe: Recipe) -> str:
    return recipe.data.tagger if isinstance(recipe.data, PassageSpec) else "none"


def pair_kinds_of(recipe: Recipe) -> tuple[str, ...]:
    return recipe.data.pair_kinds if isinstance(recipe.data, PairSpec) else ()


def fit_for(recipe: Recipe, batch: Batch, seed: int = 0) -> Batch:
    """The batch with spans where the recipe asks for a tagger."""
    return batch if tagger_of(recipe) == "none" else with_spans(batch, seed)


def batch_for(recipe: Recipe, seed: int) -> Batch:
    if toys := toys_of(recipe):
        return toys.batch(seed)
    makers = {"pairs": toy_pairs, "queries": toy_queries, "passages": toy_batch}
    return fit_for(recipe, makers[kind_of(recipe)](seed), seed)


def noise_for(recipe: Recipe, step: int) -> Batch:
    """A fresh batch for each step, from which nothing can be learnt."""
    if toys := toys_of(recipe):
        return toys.noise(step)
    return toy_pairs(step + 100, pairs=16) if kind_of(recipe) == "pairs" else batch_for(recipe, step + 100)


def texts_for(recipe: Recipe, seed: int) -> Batch:
    """So many texts that of every kind of token that is asked for there are several."""
    if toys := toys_of(recipe):
        return toys.several(seed)
    if kind_of(recipe) == "queries":
        return toy_queries(seed, SEVERAL)
    per_example = 2 if kind_of(recipe) == "pairs" else 1
    return fit_for(recipe, replace(toy_batch(seed, SEVERAL), sequences_per_example=per_example))


def grouped_for(recipe: Recipe, seed: int) -> Batch:
    """Several texts; of pairs several belong to one group."""
    if kind_of(recipe) == "pairs":
        return replace(toy_pairs(seed, pairs=6), groups=torch.tensor([0, 1, 1, 2, 3, 1]))
    return texts_for(recipe, seed)


def neighbours(recipe: Recipe) -> tuple[Batch, Batch]:
    """Two batches that begin with the same sequence, or the same pair, and go on differently."""
    if toys := toys_of(recipe):
        return toys.neighbours()
    lengths = ((20, 4, 30), (13, 24, 3, 3, 40))
    per_example = 2 if kind_of(recipe) == "pairs" else 1
    first = [toy_sequence(11 + 3 * number, generator(number + 1)) for number in range(per_example)]
    made = []
    for seed, rest in enumerate(lengths):
        sequences = [*first, *(toy_sequence(length, generator(seed + 7)) for length in rest[per_example - 1 :])]
        batch = Batch.pack(sequences, TOY_VOCABULARY, sequences_per_example=per_example)
        lesson = toy_lesson(len(sequences), 5) if kind_of(recipe) == "queries" else None
        made.append(fit_for(recipe, replace(batch, teacher_targets=lesson)))
    return made[0], made[1]


def chance(choices: int) -> float:
    """The cross-entropy, in nats, of guessing among equally likely choices."""
    return math.log(choices)


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)
