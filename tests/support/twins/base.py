"""What every twin says, and the loops that most of them share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor

from reknit.data.batch import Batch, View
from reknit.encoders.base import Encoded, Encoder
from reknit.objectives.base import EmbeddingObjective
from reknit.objectives.predictions import Choices, Predictions, ReconstructionObjective
from twins.losses.binary_cross_entropy import naive_binary_cross_entropy
from twins.losses.cross_entropy import naive_cross_entropy
from twins.losses.distribution_divergence import naive_distribution_divergence
from twins.losses.matching import naive_matching

Losses = dict[str, Tensor]


class Twin(ABC):
    """toy: settings for texts of a few tokens. steps_to_fall: in which every loss falls on one batch."""

    toy: Mapping[str, Any] = MappingProxyType({})
    steps_to_fall = 40

    @abstractmethod
    def compare(self, objective: Any, encoder: Encoder, batch: Batch) -> tuple[Losses, Losses]:
        """Losses of the objective, and the same ones by loops."""

    def prepare(self, objective: Any) -> None:
        """Let a fresh objective have seen what it must know before a later stage of its training."""
        del objective  # most need nothing

    def predictions(
        self, objective: Any, encoder: Encoder, batch: Batch, rng: torch.Generator
    ) -> dict[str, Predictions]:
        """What it predicts of masked tokens, or of tokens that come later."""
        return objective.predictions(encoder, batch, rng) if isinstance(objective, ReconstructionObjective) else {}

    def put_another(self, batch: Batch, position: int, choices: Choices | None) -> tuple[Batch, Any]:
        """The batch with something else at a position that is predicted (at all of a choice that begins there), and
        what then is to be predicted there."""
        tokens = batch.tokens.clone()
        if choices is None:
            tokens[position] = 5 if tokens[position] != 5 else 6
            return replace(batch, tokens=tokens), int(tokens[position])
        here = tokens[position : position + choices.tokens.shape[1]]
        # Every token must change: one that stays would hide that it is seen.
        other = int((choices.tokens != here).logical_and(choices.tokens >= 0).all(dim=1).nonzero()[0])
        here.copy_(choices.tokens[other])
        return replace(batch, tokens=tokens), other

    def alone(self) -> AbstractContextManager[object]:
        """Within it, no example meets another one of the batch, where that is meant to be."""
        return nullcontext()

    def same_units(self, objective: Any, batch: Batch) -> AbstractContextManager[object]:
        """Within it, the units that are masked whole are where they are in this batch, also in a changed one."""
        return nullcontext()


class VectorTwin(Twin):
    """Of an objective on vectors, whose losses are compared on random ones of this width."""

    width = 8

    def compare(self, objective: Any, encoder: Encoder, batch: Batch) -> tuple[Losses, Losses]:
        vectors = self.shaped(torch.randn(batch.num_sequences, self.width, generator=same_draws()))
        return objective.score(vectors, batch).losses, self.score(objective, vectors, batch)

    @abstractmethod
    def score(self, objective: Any, vectors: Tensor, batch: Batch) -> Losses:
        """The losses of `EmbeddingObjective.score` by loops."""

    def shaped(self, vectors: Tensor) -> Tensor:
        """[N, dim] vectors in the form that `score` takes."""
        return vectors

    def knowing(self, objective: EmbeddingObjective) -> AbstractContextManager[object]:
        """Within it, whatever else teaches the vectors knows which texts belong together."""
        return nullcontext()


class ReconstructionTwin(Twin):
    """Of an objective that shows all that it predicts, decides and matches: the mean losses of that."""

    def compare(self, objective: Any, encoder: Encoder, batch: Batch) -> tuple[Losses, Losses]:
        losses = objective(encoder, batch, same_draws()).losses
        return losses, self.loops(objective, encoder, batch)

    def loops(self, objective: Any, encoder: Encoder, batch: Batch) -> Losses:
        expected, table = {}, self.table(objective, encoder)
        for name, made in objective.predictions(encoder, batch, same_draws()).items():
            expected[name] = made.weight * self.predicted(objective, table, batch, made)
        with passes(encoder) as seen:
            decisions = objective.decisions(encoder, batch, same_draws())
        for name, decided in decisions.items():
            places = decided.positions.tolist()
            if self.decides_all(objective):
                assert places == ordinary_places(batch), "not every ordinary token is decided about"
            labels = self.labels(name, batch, seen[-1][0], places)
            expected[name] = decided.weight * naive_binary_cross_entropy(decided.states, labels)
        for name, wanted in objective.distributions(encoder, batch, same_draws()).items():
            expected[name] = naive_distribution_divergence(wanted.states, table, objective.head.bias, wanted.targets)
        for name, found in objective.matches(encoder, batch, same_draws()).items():
            expected[name] = found.weight * naive_matching(found.states, found.targets)
        return expected

    def table(self, objective: Any, encoder: Encoder) -> Tensor:
        """What the states of its predictions are multiplied with."""
        return encoder.table

    def predicted(self, objective: Any, table: Tensor, batch: Batch, made: Predictions) -> Tensor:
        if made.choices is None:
            return naive_cross_entropy(made.states, table, objective.head.bias, batch.tokens[made.positions])
        spelled = [tuple(tokens) for tokens in made.choices.tokens.tolist()]
        asked = (tuple(batch.tokens[t : t + len(spelled[0])].tolist()) for t in made.positions.tolist())
        targets = torch.tensor([spelled.index(tokens) for tokens in asked])
        return naive_cross_entropy(made.states, made.choices.table, made.choices.bias, targets)

    def decides_all(self, objective: Any) -> bool:
        """Whether it asks about every ordinary token."""
        return True

    def labels(self, name: str, batch: Batch, seen: View, places: list[int]) -> list[bool]:
        """The right answers at these places of the batch, of which the encoder has seen this view."""
        shown = seen.tokens.tolist()
        return [shown[place] != int(batch.tokens[place]) for place in places]


@contextmanager
def passes(encoder: Encoder) -> Iterator[list[tuple[View, Encoded]]]:
    """What the encoder is given within it, and what it makes of that."""
    found: list[tuple[View, Encoded]] = []
    hook = encoder.register_forward_hook(lambda module, given, encoded: found.append((given[0], encoded)))
    try:
        yield found
    finally:
        hook.remove()


def ordinary_places(batch: Batch) -> list[int]:
    return [place for place in range(batch.num_tokens) if int(batch.tokens[place]) not in batch.vocabulary.special]


def same_draws() -> torch.Generator:
    """Objective and loops draw from one of these each."""
    return torch.Generator().manual_seed(3)


def groups_of(batch: Batch) -> list[int]:
    """Of each pair its group; every pair is its own where the batch has none."""
    return list(range(batch.num_sequences // 2)) if batch.groups is None else batch.groups.tolist()
