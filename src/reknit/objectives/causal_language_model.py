"""Causal language modelling: each token from what came before it (Bengio et al. 2003; Radford et al. 2018)."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from reknit.corruptions.next_token import predict_next
from reknit.data.batch import Batch, Vocabulary
from reknit.decoders.language_model_head import LanguageModelHead
from reknit.encoders.base import Encoder
from reknit.objectives.base import ObjectiveSpec, StepOutput
from reknit.objectives.predictions import Predictions, ReconstructionObjective, tied_vocabulary


@dataclass(frozen=True)
class CausalLanguageModelSpec(ObjectiveSpec):
    """No settings: every ordinary token but a sequence's first token is predicted from its left context."""

    def build(self, encoder: Encoder, vocabulary: Vocabulary, pooling: str) -> CausalLanguageModel:
        return CausalLanguageModel(encoder.dim, tied_vocabulary(encoder))


class CausalLanguageModel(ReconstructionObjective):
    """Loss "causal": cross-entropy of each token, from the hidden state before it, under causal attention."""

    def __init__(self, dim: int, vocabulary: int) -> None:
        super().__init__()
        self.head = LanguageModelHead(dim, vocabulary)

    def predictions(self, encoder: Encoder, batch: Batch, rng: torch.Generator) -> dict[str, Predictions]:
        view = predict_next(batch)
        positions = view.predict.nonzero().squeeze(1)
        states = self.head(encoder(view).last[positions - 1])
        unseen = torch.ones_like(positions, dtype=torch.bool)
        return {"causal": Predictions(states, positions, view.targets[positions], unseen)}

    def forward(self, encoder: Encoder, batch: Batch, rng: torch.Generator) -> StepOutput:
        causal = self.predictions(encoder, batch, rng)["causal"]
        loss, accuracy = causal.loss(encoder.table, self.head.bias)
        return StepOutput({"causal": loss}, {"causal_accuracy": accuracy})
