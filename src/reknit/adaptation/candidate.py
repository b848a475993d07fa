"""A model that a run may end with: the start model, or the adapted one."""

from __future__ import annotations

import copy
from dataclasses import dataclass

from reknit.adaptation.expansion import with_expansion
from reknit.models.embedding_model import EmbeddingModel
from reknit.models.encode_texts import EncodeTexts
from reknit.models.query_expansion import QueryExpansion
from reknit.runs.result import ModelName


@dataclass(frozen=True)
class Candidate:
    """A model, how it encodes, and what was chosen for it without labels.

    encode: of `model`, without `expansion`. expansion: of queries by the words of this run's corpus; None for none. (A
    start model that was adapted to another corpus has its own, inside `encode`.) hybrid_weight: of its vectors in
    hybrid search; None where nothing has asked for it.
    """

    name: ModelName
    model: EmbeddingModel
    encode: EncodeTexts
    expansion: QueryExpansion | None = None
    hybrid_weight: float | None = None

    @property
    def encode_expanded(self) -> EncodeTexts:
        """`encode` as the model is searched with: its queries expanded."""
        return with_expansion(self.encode, self.expansion)

    def finished(self) -> EmbeddingModel:
        """The model with its expansion, to be saved and searched with; `encode` stays without it."""
        if self.expansion is None:
            return self.model
        model = copy.copy(self.model)
        model.expansion = self.expansion
        return model
