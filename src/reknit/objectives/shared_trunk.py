"""One trunk with a branch that understands and a branch that writes (ERNIE 3.0)."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from reknit.corruptions.next_token import predict_next
from reknit.data.attention_rules import causal
from reknit.data.batch import Batch, View, Vocabulary
from reknit.decoders.language_model_head import LanguageModelHead
from reknit.decoders.stack import TransformerStack
from reknit.encoders.base import Encoder, TokenEncoder
from reknit.encoders.native.config import default_heads
from reknit.errors import ReknitError
from reknit.objectives.base import ObjectiveSpec, StepOutput, TextLikelihood
from reknit.objectives.likelihood import pseudo_log_likelihood
from reknit.objectives.masked_language_model import MaskedLanguageModelSpec
from reknit.objectives.predictions import (
    Predictions,
    ReconstructionObjective,
    losses_of,
    predicted_from_before,
    predicted_in_place,
    tied_vocabulary,
)
from reknit.ranges import FractionBelowOne, NonNegativeFloat, PositiveInt


@dataclass(frozen=True)
class SharedTrunkSpec(ObjectiveSpec):
    """Settings of ERNIE 3.0's two branches (Sun et al. 2021): one for understanding, one for writing."""

    masked: MaskedLanguageModelSpec = field(default_factory=lambda: MaskedLanguageModelSpec(whole_words=True))
    """How tokens are masked for the branch for understanding."""
    layers: PositiveInt = 1
    """Layers of each branch, above those of the encoder."""
    causal_weight: NonNegativeFloat = 1.0
    """Weight of the causal loss of the branch for writing, beside 1 for the other branch's; 0 leaves it out."""
    dropout: FractionBelowOne = 0.1
    """Probability that an activation or attention weight of the branches is set to 0 in training."""

    def __post_init__(self) -> None:
        if self.layers < 1 or self.causal_weight < 0.0:
            raise ReknitError("objective.layers must be 1 or more, and objective.causal_weight 0 or more")

    def build(self, encoder: Encoder, vocabulary: Vocabulary, pooling: str) -> SharedTrunk:
        return SharedTrunk(self, encoder.dim, tied_vocabulary(encoder))


class SharedTrunk(ReconstructionObjective):
    """Losses "masked" (attention in both directions) and "causal" (to the left only), a pass of the encoder each."""

    def __init__(self, spec: SharedTrunkSpec, dim: int, vocabulary: int) -> None:
        super().__init__()
        self.spec = spec
        self.head = LanguageModelHead(dim, vocabulary)
        self.understanding = self._branch(dim)
        self.writing = self._branch(dim) if spec.causal_weight else None

    def predictions(self, encoder: TokenEncoder, batch: Batch, rng: torch.Generator) -> dict[str, Predictions]:
        view = self.spec.masked.corrupt(batch, rng)
        states = self.understanding(encoder(view).last, view.cu_seqlens)
        found = {"masked": predicted_in_place(view, states, self.head)}
        if self.writing is not None:
            view = predict_next(batch, rng)
            states = self.writing(encoder(view).last, view.cu_seqlens, causal)
            found["causal"] = predicted_from_before(view, states, self.head, self.spec.causal_weight)
        return found

    def log_likelihood(self, encoder: TokenEncoder, batch: Batch) -> TextLikelihood:
        """Of the branch that understands."""

        def states_of(view: View) -> Tensor:
            states: Tensor = self.head(self.understanding(encoder(view).last, view.cu_seqlens))
            return states

        return pseudo_log_likelihood(states_of, encoder.table, self.head.bias, batch)

    def forward(self, encoder: TokenEncoder, batch: Batch, rng: torch.Generator) -> StepOutput:
        return losses_of(self.predictions(encoder, batch, rng), encoder.table, self.head.bias)

    def _branch(self, dim: int) -> TransformerStack:
        spec = self.spec
        return TransformerStack(dim, spec.layers, default_heads(dim), intermediate=4 * dim, dropout=spec.dropout)
