"""Token targets: a text's vector must tell the text's key words (Text2Token)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from reknit.corruptions.masking import ordinary_tokens
from reknit.data.batch import Batch, View, Vocabulary, segments_of
from reknit.decoders.language_model_head import LanguageModelHead
from reknit.encoders.base import Encoder
from reknit.encoders.pooling import pool
from reknit.errors import ReknitError
from reknit.objectives.base import ObjectiveSpec, StepOutput
from reknit.objectives.predictions import Distributions, Predictions, ReconstructionObjective, tied_vocabulary


@dataclass(frozen=True)
class TokenTargetSpec(ObjectiveSpec):
    """Settings of Text2Token.

    frequent_share: tokens in more than this share of the texts seen so far are no targets.
    """

    frequent_share: float = 0.2

    def __post_init__(self) -> None:
        if not 0.0 < self.frequent_share <= 1.0:
            raise ReknitError(f"frequent_share is {self.frequent_share}; it must be above 0 and at most 1")

    def build(self, encoder: Encoder, vocabulary: Vocabulary, pooling: str) -> TokenTargets:
        return TokenTargets(self, encoder.dim, tied_vocabulary(encoder), pooling)


class TokenTargets(ReconstructionObjective):
    """Loss "token_targets": divergence of the vocabulary's distribution, read from the text's vector, from the targets.

    Targets are the text's tokens by tf-idf, with document frequencies counted over the texts that were trained on.
    """

    texts_seen: Tensor
    texts_with: Tensor

    def __init__(self, spec: TokenTargetSpec, dim: int, vocabulary: int, pooling: str) -> None:
        super().__init__()
        self.spec, self.pooling = spec, pooling
        self.head = LanguageModelHead(dim, vocabulary)
        # Buffers, so that a resumed run has counted what was counted before.
        self.register_buffer("texts_seen", torch.zeros(()))
        self.register_buffer("texts_with", torch.zeros(vocabulary))

    def predictions(self, encoder: Encoder, batch: Batch, rng: torch.Generator) -> dict[str, Predictions]:
        return {}

    def distributions(self, encoder: Encoder, batch: Batch, rng: torch.Generator) -> dict[str, Distributions]:
        states = self.head(pool(encoder(View.clean(batch)), self.pooling))
        return {"token_targets": Distributions(states, batch.cu_seqlens[:-1], self._key_words(batch))}

    def forward(self, encoder: Encoder, batch: Batch, rng: torch.Generator) -> StepOutput:
        if self.training:
            self._count(batch.whole)
        found = self.distributions(encoder, batch, rng)["token_targets"]
        loss, accuracy = found.loss(encoder.table, self.head.bias)
        return StepOutput({"token_targets": loss}, {"token_targets_accuracy": accuracy})

    @torch.no_grad()
    def _count(self, batch: Batch) -> None:
        self.texts_seen += batch.num_sequences
        self.texts_with += (self._counts(batch) > 0).sum(dim=0)

    def _counts(self, batch: Batch) -> Tensor:
        """[N, V] how often each ordinary token is in each text."""
        ordinary = ordinary_tokens(batch)
        counts = torch.zeros(batch.num_sequences, self.texts_with.numel(), device=batch.tokens.device)
        places = segments_of(batch.cu_seqlens)[ordinary], batch.tokens[ordinary]
        return counts.index_put_(places, torch.ones(places[0].numel(), device=counts.device), accumulate=True)

    def _key_words(self, batch: Batch) -> Tensor:
        """[N, V] tf-idf of each text's tokens, rows that sum to 1; all of them where all are too frequent."""
        counts = self._counts(batch)
        rarity = 1.0 + torch.log((1.0 + self.texts_seen) / (1.0 + self.texts_with))
        weights = counts * rarity
        rare = weights * (self.texts_with <= self.spec.frequent_share * self.texts_seen)
        weights = torch.where(rare.sum(dim=1, keepdim=True) > 0, rare, weights)
        return weights / weights.sum(dim=1, keepdim=True).clamp_min(1e-9)
