"""Contrastive learning on the pairs of a batch: SimCSE, Mirror-BERT, and mined pairs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from types import MappingProxyType

import torch
from torch import Tensor, nn

from reknit.data.batch import Batch, View, Vocabulary
from reknit.decoders.initial_weights import draw_like_bert
from reknit.encoders.base import Encoder
from reknit.encoders.pooling import pool
from reknit.errors import ReknitError
from reknit.losses.info_nce import info_nce
from reknit.objectives.base import WHOLE_TEXTS, EmbeddingObjective, ObjectiveSpec, StepOutput
from reknit.ranges import NonNegativeFloat, NonNegativeInt, PositiveFloat


@dataclass(frozen=True)
class ContrastiveSpec(ObjectiveSpec):
    """Settings of InfoNCE (van den Oord et al. 2018) with the other pairs of the batch as negatives."""

    temperature: PositiveFloat = 0.05
    """Divides the cosine similarities; a smaller value puts more weight on the hardest negatives."""
    symmetric: bool = False
    """Also find the query of each passage, and average both directions."""
    same_side: bool = False
    """Also use the other queries as negatives of a query (NT-Xent)."""
    projection: bool = False
    """Put a dense layer and tanh over the vector, in training only; the vector below it is exported (SimCSE)."""
    focal: NonNegativeFloat = 0.0
    """Exponent of a focal weight: an example counts as (1 - p) to this power, p being the probability of its own
    passage. A larger value gives less weight to examples that are already learned; 0 weights all alike
    (KaLM-Embedding-V2).
    """
    mixed_negatives: NonNegativeInt = 0
    """Hardest negatives of a query that are mixed into one more negative; 0 for none (KaLM-Embedding-V2)."""

    def __post_init__(self) -> None:
        if self.focal < 0.0 or self.mixed_negatives < 0:
            raise ReknitError("focal and mixed_negatives must be 0 or more")
        if self.temperature <= 0.0:
            raise ReknitError(f"the temperature is {self.temperature}; it must be above 0")

    def build(self, encoder: Encoder, vocabulary: Vocabulary, pooling: str) -> Contrastive:
        return Contrastive(self, encoder.dim, pooling)


class Contrastive(EmbeddingObjective[Encoder]):
    """Loss "contrastive": InfoNCE with the other examples of the batch as negatives.

    Two equal texts (twins) differ by the dropout of the encoder alone, which is on because the encoder trains. Texts
    are not corrupted here: how a pair comes about is the data's matter.
    """

    vector_losses = frozenset({"contrastive"})
    visible = MappingProxyType({"contrastive": WHOLE_TEXTS})

    def __init__(self, spec: ContrastiveSpec, dim: int, pooling: str) -> None:
        super().__init__()
        self.spec, self.pooling = spec, pooling
        self.projection: nn.Module = nn.Identity()
        if spec.projection:
            dense = nn.Linear(dim, dim)
            draw_like_bert((dense,))
            self.projection = nn.Sequential(dense, nn.Tanh())

    def embed(self, encoder: Encoder, batch: Batch, rng: torch.Generator) -> Tensor:
        vectors: Tensor = self.projection(pool(encoder(View.clean(batch)), self.pooling))
        return vectors

    def floors(self, encoder: Encoder, batch: Batch, rng: torch.Generator) -> dict[str, float | str]:
        pairs = batch.num_sequences // 2
        share = 1.0 / (2 * pairs - 1 if self.spec.same_side else pairs)
        return {"contrastive": -math.log(share) * (1.0 - share) ** self.spec.focal}

    def score(self, embeddings: Tensor, batch: Batch) -> StepOutput:
        spec = self.spec
        loss, accuracy = info_nce(
            *sides_of(embeddings, batch),
            batch.groups,
            temperature=spec.temperature,
            symmetric=spec.symmetric,
            same_side=spec.same_side,
            focal=spec.focal,
            mixed=spec.mixed_negatives,
        )
        return StepOutput({"contrastive": loss}, {"contrastive_accuracy": float(accuracy)})


def sides_of(embeddings: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
    """The rows of the queries and those of their passages. Raises ReknitError for a batch that is not of pairs."""
    if batch.sequences_per_example != 2:
        raise ReknitError(
            f"contrastive objectives need pairs, but a batch has {batch.sequences_per_example} sequence(s) per "
            "example; give its recipe data=PairSpec(...)"
        )
    return embeddings[0::2], embeddings[1::2]
