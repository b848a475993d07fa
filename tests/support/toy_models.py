"""A tiny encoder and random batches, for checks that run on every recipe."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from reknit.corruptions.masking import ordinary_tokens
from reknit.data.batch import Batch, TeacherTargets, Vocabulary, counted_spans
from reknit.encoders.huggingface.loading import HuggingFaceEncoder, build_encoder
from reknit.encoders.spec import EncoderSpec
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
    shape = EncoderSpec(dim=32, depth=2, heads=2, intermediate=64, max_positions=64, dropout=dropout, **changes)
    return build_encoder(shape, TOY_VOCABULARY.size)


def toy_pair(recipe: Recipe, seed: int = 0, pooling: str = "cls") -> tuple[HuggingFaceEncoder, Objective]:
    encoder = toy_encoder(seed)
    objective = toy_spec(recipe.objective).build(encoder, TOY_VOCABULARY, pooling)
    if getattr(recipe.objective, "counting", None) == 0.0:  # the part behind the counting
        count_toy_bigrams(objective)
        objective.lexicon.learn()
    return encoder, objective


def toy_spec(spec: ObjectiveSpec) -> ObjectiveSpec:
    """The settings for toy texts: blocks so short that most texts have several, clusters of several tokens."""
    toy = {"block_tokens": 5, "clusters": 8}
    return replace(spec, **{name: value for name, value in toy.items() if hasattr(spec, name)})


def count_toy_bigrams(objective: Objective) -> None:
    """Let a lexicon, where there is one, count about a third of all pairs of ordinary tokens, so that it knows many."""
    if hasattr(objective, "lexicon"):
        objective.lexicon.count(toy_batch(77, (100,) * 16))


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


def fit_for(recipe: Recipe, batch: Batch, seed: int = 0) -> Batch:
    """The batch with spans where the recipe asks for a tagger."""
    tagged = isinstance(recipe.data, PassageSpec) and recipe.data.tagger != "none"
    return with_spans(batch, seed) if tagged else batch


def batch_for(recipe: Recipe, seed: int) -> Batch:
    makers: dict[type[DataSpec], Callable[[int], Batch]]
    makers = {PairSpec: toy_pairs, QuerySpec: toy_queries, PassageSpec: toy_batch}
    return fit_for(recipe, makers[type(recipe.data)](seed), seed)


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)
