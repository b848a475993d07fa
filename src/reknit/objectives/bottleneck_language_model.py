"""Causal language modelling through a bottleneck: a token must sum up the text before it for what follows (GEM)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

from reknit.corruptions.bottleneck import insert_bottleneck
from reknit.corruptions.next_token import predict_next
from reknit.data.attention_rules import AttentionRule, BehindBottleneck, Both, causal
from reknit.data.batch import Batch, Vocabulary, segments_of
from reknit.decoders.language_model_head import LanguageModelHead
from reknit.encoders.base import Encoder, TokenEncoder
from reknit.errors import ReknitError
from reknit.objectives.base import ObjectiveSpec, StepOutput, TextLikelihood
from reknit.objectives.likelihood import causal_log_likelihood
from reknit.objectives.predictions import (
    Predictions,
    ReconstructionObjective,
    losses_of,
    predicted_from_before,
    tied_vocabulary,
)
from reknit.ranges import NonNegativeFloat


@dataclass(frozen=True)
class BottleneckLanguageModelSpec(ObjectiveSpec):
    """Settings of GEM (Zhang et al. 2025)."""

    bottleneck_weight: NonNegativeFloat = 1.0
    """Weight of the loss through the bottleneck token, beside 1 for plain next tokens; 0 leaves it out."""

    def __post_init__(self) -> None:
        if self.bottleneck_weight < 0.0:
            raise ReknitError(f"bottleneck_weight is {self.bottleneck_weight}; it must be 0 or more")

    def rules(self) -> tuple[AttentionRule, ...]:
        side = torch.zeros(0, dtype=torch.int64)
        return (Both(causal, BehindBottleneck(side)),) if self.bottleneck_weight else ()

    def build(self, encoder: Encoder, vocabulary: Vocabulary, pooling: str) -> BottleneckLanguageModel:
        return BottleneckLanguageModel(self, encoder.dim, tied_vocabulary(encoder))


class BottleneckLanguageModel(ReconstructionObjective):
    """Losses "causal" (each token from all before it) and "bottleneck" (those behind an inserted closing token, from
    it and what follows it), a pass of the encoder each."""

    def __init__(self, spec: BottleneckLanguageModelSpec, dim: int, vocabulary: int) -> None:
        super().__init__()
        self.spec = spec
        self.head = LanguageModelHead(dim, vocabulary)

    @property
    def left_to_right(self) -> bool:
        return True

    def predictions(self, encoder: TokenEncoder, batch: Batch, rng: torch.Generator) -> dict[str, Predictions]:
        plain = predict_next(batch, rng)
        found = {"causal": predicted_from_before(plain, encoder(plain).last, self.head)}
        if self.spec.bottleneck_weight:
            view = insert_bottleneck(batch, rng)
            made = predicted_from_before(view, encoder(view).last, self.head, self.spec.bottleneck_weight)
            texts = segments_of(view.cu_seqlens)[made.positions]
            found["bottleneck"] = replace(made, positions=made.positions - texts - 1)
        return found

    def log_likelihood(self, encoder: TokenEncoder, batch: Batch) -> TextLikelihood:
        return causal_log_likelihood(encoder, self.head, batch)

    def forward(self, encoder: TokenEncoder, batch: Batch, rng: torch.Generator) -> StepOutput:
        return losses_of(self.predictions(encoder, batch, rng), encoder.table, self.head.bias)
