"""Contrastive learning on the pairs of a batch: SimCSE, Mirror-BERT, and mined pairs."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from reknit.data.batch import Batch, View, Vocabulary
from reknit.decoders.initial_weights import draw_like_bert
from reknit.encoders.base import Encoder
from reknit.encoders.pooling import pool
from reknit.errors import ReknitError
from reknit.losses.info_nce import info_nce
from reknit.objectives.base import EmbeddingObjective, ObjectiveSpec, StepOutput


@dataclass(frozen=True)
class ContrastiveSpec(ObjectiveSpec):
    """temperature: divides the cosine similarities. symmetric: passages also look for their queries. same_side: the
    other queries are negatives of a query too (NT-Xent). projection: a dense layer and tanh over the vector, in
    training only; what is exported is the vector under it (SimCSE). focal, mixed_negatives: as in `info_nce` (KaLM)."""

    temperature: float = 0.05
    symmetric: bool = False
    same_side: bool = False
    projection: bool = False
    focal: float = 0.0
    mixed_negatives: int = 0

    def __post_init__(self) -> None:
        if self.focal < 0.0 or self.mixed_negatives < 0:
            raise ReknitError("focal and mixed_negatives must be 0 or more")
        if self.temperature <= 0.0:
            raise ReknitError(f"the temperature is {self.temperature}; it must be above 0")

    def build(self, encoder: Encoder, vocabulary: Vocabulary, pooling: str) -> Contrastive:
        return Contrastive(self, encoder.dim, pooling)


class Contrastive(EmbeddingObjective):
    """Loss "contrastive": InfoNCE with the other examples of the batch as negatives.

    Two equal texts (twins) differ by the dropout of the encoder alone, which is on because the encoder trains. Texts
    are not corrupted here: how a pair comes about is the data's matter.
    """

    def __init__(self, spec: ContrastiveSpec, dim: int, pooling: str) -> None:
        super().__init__()
        self.spec, self.pooling = spec, pooling
        self.projection: nn.Module = nn.Identity()
        if spec.projection:
            dense = nn.Linear(dim, dim)
            draw_like_bert((dense,))
            self.projection = nn.Sequential(dense, nn.Tanh())

    def embed(self, encoder: Encoder, batch: Batch, rng: torch.Generator) -> Tensor:
        return self.projection(pool(encoder(View.clean(batch)), self.pooling))

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
