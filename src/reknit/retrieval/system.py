"""A search system: what answers a query, made of words and the vectors of some models, with or without feedback."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from reknit.errors import ReknitError
from reknit.retrieval.feedback import Feedback

WORDS = "bm25"
"""The side that searches by words; every other side is the vectors of a model, under the model's name."""


@dataclass(frozen=True)
class SearchSystem:
    """weights: {side: its weight}, adding up to 1. feedback: of a second search by the hits of the first; None for one
    search only.

    The best documents by each side are put together, every one of them is scored by all sides, and the standard
    scores of the sides are added with their weights (`fuse`). Raises ReknitError without a side, and for weights that
    are below 0 or all 0.
    """

    weights: dict[str, float]
    feedback: Feedback | None = None

    def __post_init__(self) -> None:
        if not all(0 <= weight <= 1 for weight in self.weights.values()) or not sum(self.weights.values()) > 0:
            raise ReknitError(f"a search system has the weights {self.weights}: give each side one from 0 to 1")

    @classmethod
    def of(cls, models: Sequence[str], vector_weight: float = 1.0, feedback: Feedback | None = None) -> SearchSystem:
        """Words with 1 - `vector_weight`, and the vectors of the models with equal parts of `vector_weight`."""
        weights = {} if vector_weight == 1.0 else {WORDS: 1 - vector_weight}
        return cls(weights | {model: vector_weight / len(models) for model in models}, feedback)

    @property
    def models(self) -> tuple[str, ...]:
        """Whose vectors it searches by."""
        return tuple(side for side in self.weights if side != WORDS)

    @property
    def is_hybrid(self) -> bool:
        return WORDS in self.weights and len(self.weights) > 1

    @property
    def vector_weight(self) -> float:
        """The weight of all vectors together, words having the rest."""
        return sum(weight for side, weight in self.weights.items() if side != WORDS)

    def at(self, vector_weight: float) -> SearchSystem:
        """The same system with another weight of all vectors together, each model keeping its part of it."""
        before = self.vector_weight
        parts = {model: self.weights[model] / before if before else 1 / len(self.models) for model in self.models}
        weights = {WORDS: 1 - vector_weight} | {model: vector_weight * part for model, part in parts.items()}
        return replace(self, weights=weights)
