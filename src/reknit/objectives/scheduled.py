"""One objective for the first part of a training and another for the rest, on one encoder."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import nn

from reknit.data.batch import Batch, Vocabulary
from reknit.encoders.base import Encoder, TokenEncoder, token_encoder
from reknit.errors import ReknitError
from reknit.objectives.base import FollowsProgress, ObjectiveSpec, StepOutput, TextLikelihood
from reknit.objectives.causal_language_model import CausalLanguageModel, CausalLanguageModelSpec
from reknit.objectives.masked_language_model import MaskedLanguageModel, MaskedLanguageModelSpec
from reknit.objectives.predictions import Predictions, ReconstructionObjective
from reknit.ranges import Fraction


@dataclass(frozen=True)
class CausalThenMaskedSpec(ObjectiveSpec):
    """Causal language modelling first, masked language modelling after it, each with its own head."""

    switch_at: Fraction = 0.5
    """Fraction of the budget after which masked language modelling takes the place of causal language modelling."""
    causal: CausalLanguageModelSpec = field(default_factory=CausalLanguageModelSpec)
    """Causal language modelling, before the switch."""
    masked: MaskedLanguageModelSpec = field(default_factory=MaskedLanguageModelSpec)
    """Masked language modelling, after the switch."""

    def __post_init__(self) -> None:
        if not 0.0 <= self.switch_at <= 1.0:
            raise ReknitError(f"switch_at is {self.switch_at}; it must be between 0 and 1")

    def build(self, encoder: Encoder, vocabulary: Vocabulary, pooling: str) -> CausalThenMasked:
        return CausalThenMasked(self, token_encoder(encoder), vocabulary, pooling)


class CausalThenMasked(FollowsProgress[TokenEncoder], ReconstructionObjective):
    """Loss "causal" until the switch, then "masked"; each part has its own head."""

    def __init__(self, spec: CausalThenMaskedSpec, encoder: TokenEncoder, vocabulary: Vocabulary, pooling: str) -> None:
        super().__init__()
        self.spec = spec
        self.causal = spec.causal.build(encoder, vocabulary, pooling)
        self.masked = spec.masked.build(encoder, vocabulary, pooling)

    @property
    def now(self) -> CausalLanguageModel | MaskedLanguageModel:
        """The part whose turn it is."""
        return self.causal if float(self.progress) < self.spec.switch_at else self.masked

    @property
    def stage(self) -> str:
        return "causal" if self.now is self.causal else "masked"

    @property
    def left_to_right(self) -> bool:
        return self.now.left_to_right

    @property
    def head(self) -> nn.Module:
        return self.now.head

    def predictions(self, encoder: TokenEncoder, batch: Batch, rng: torch.Generator) -> dict[str, Predictions]:
        return self.now.predictions(encoder, batch, rng)

    def floors(self, encoder: TokenEncoder, batch: Batch, rng: torch.Generator) -> dict[str, float | str]:
        return self.now.floors(encoder, batch, rng)

    def forward(self, encoder: TokenEncoder, batch: Batch, rng: torch.Generator) -> StepOutput:
        output: StepOutput = self.now(encoder, batch, rng)
        return output

    def log_likelihood(self, encoder: TokenEncoder, batch: Batch) -> TextLikelihood | None:
        return self.now.log_likelihood(encoder, batch)
