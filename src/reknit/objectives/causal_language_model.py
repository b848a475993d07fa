"""Causal language modelling: each token from what came before it (Bengio et al. 2003; Radford et al. 2018)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from reknit.corruptions.next_token import predict_next
from reknit.data.batch import Batch, Vocabulary
from reknit.decoders.language_model_head import LanguageModelHead
from reknit.encoders.base import Encoder
from reknit.objectives.base import ObjectiveSpec, StepOutput
from reknit.objectives.likelihood import causal_log_likelihood
from reknit.objectives.predictions import (
    Predictions,
    ReconstructionObjective,
    losses_of,
    predicted_from_before,
    tied_vocabulary,
)


@dataclass(frozen=True)
class CausalLanguageModelSpec(ObjectiveSpec):
    """Every ordinary token but a sequence's first token is predicted from its left context.

    masked_share: share of the tokens that those after them cannot see (MEAP: 0.15).
    """

    masked_share: float = 0.0

    def build(self, encoder: Encoder, vocabulary: Vocabulary, pooling: str) -> CausalLanguageModel:
        return CausalLanguageModel(self, encoder.dim, tied_vocabulary(encoder))


class CausalLanguageModel(ReconstructionObjective):
    """Loss "causal": cross-entropy of each token, from the hidden state before it, under causal attention."""

    def __init__(self, spec: CausalLanguageModelSpec, dim: int, vocabulary: int) -> None:
        super().__init__()
        self.spec = spec
        self.head = LanguageModelHead(dim, vocabulary)

    def predictions(self, encoder: Encoder, batch: Batch, rng: torch.Generator) -> dict[str, Predictions]:
        view = predict_next(batch, rng, masked_share=self.spec.masked_share)
        return {"causal": predicted_from_before(view, encoder(view).last, self.head)}

    def log_likelihood(self, encoder: Encoder, batch: Batch) -> Tensor:
        return causal_log_likelihood(encoder, self.head, batch)

    def forward(self, encoder: Encoder, batch: Batch, rng: torch.Generator) -> StepOutput:
        return losses_of(self.predictions(encoder, batch, rng), encoder.table, self.head.bias)
