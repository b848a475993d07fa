"""A model that a run may search with: the start model, another one that was given, or the adapted one."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import cast

from reknit.adaptation.expansion import with_expansion
from reknit.models.embedder import Embedder
from reknit.models.embedding_model import EmbeddingModel
from reknit.models.encode_texts import EncodeTexts
from reknit.models.query_expansion import QueryExpansion

START, ADAPTED = "start", "adapted"


@dataclass(frozen=True)
class Candidate:
    """A model, how it encodes, and the query expansion that was made for it.

    name: START, ADAPTED, or the name of another model that was given. encode: of `model`, without `expansion`.
    expansion: of queries by the words of this run's corpus; None for none. (A start model that was adapted to another
    corpus has its own, inside `encode`.)
    """

    name: str
    model: Embedder
    encode: EncodeTexts
    expansion: QueryExpansion | None = None

    @property
    def trainable(self) -> EmbeddingModel:
        """The model, of a candidate that is or can be trained."""
        return cast(EmbeddingModel, self.model)

    @property
    def plain(self) -> str:
        """The name of its vectors without the expansion."""
        return "plain" if self.name == ADAPTED and self.expansion is not None else self.name

    @property
    def expanded(self) -> str:
        """The name of its vectors with the expansion; `plain` where it has none.

        An adapted model is its expansion too, so it is the plain one that has a name of its own.
        """
        return self.name if self.name == ADAPTED or self.expansion is None else f"{self.name}_expanded"

    @property
    def sides(self) -> dict[str, EncodeTexts]:
        """Its vectors by their names, expanded ones first."""
        return {self.expanded: with_expansion(self.encode, self.expansion), self.plain: self.encode}

    def finished(self, side: str) -> Embedder:
        """The model that makes the vectors of that name, to be saved and searched with; `encode` stays without its
        expansion."""
        if self.expansion is None or side == self.plain:
            return self.model
        model = copy.copy(self.trainable)
        model.expansion = self.expansion
        return model
