"""Masked language modelling through decoder layers that are thrown away (BPDec)."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from reknit.data.attention_rules import VisibleKeys
from reknit.data.batch import Batch, View, Vocabulary
from reknit.decoders.language_model_head import LanguageModelHead
from reknit.decoders.stack import TransformerStack
from reknit.encoders.base import Encoder, TokenEncoder
from reknit.encoders.native.config import default_heads
from reknit.errors import ReknitError
from reknit.objectives.base import ObjectiveSpec, StepOutput, TextLikelihood
from reknit.objectives.draws import FROM_ENCODER, VISIBLE_TO_DECODER, draw_seed, token_draws
from reknit.objectives.likelihood import pseudo_log_likelihood
from reknit.objectives.masked_language_model import MaskedLanguageModelSpec
from reknit.objectives.predictions import Predictions, ReconstructionObjective, losses_of, tied_vocabulary
from reknit.ranges import FractionBelowOne, PositiveInt


@dataclass(frozen=True)
class DecodedLanguageModelSpec(ObjectiveSpec):
    """Settings of BPDec (Liang et al. 2024)."""

    masked: MaskedLanguageModelSpec = field(default_factory=MaskedLanguageModelSpec)
    """How tokens are masked."""
    layers: PositiveInt = 2
    """Layers of the decoder."""
    gradual: bool = True
    """Let each layer of the decoder attend to more of the masked positions: the first to a random part of them, the
    last to all. Otherwise every layer attends to all.
    """
    encoder_share: FractionBelowOne = 0.1
    """Fraction of the predictions in training, drawn at random, that are made from the encoder's output instead of the
    decoder's.
    """
    dropout: FractionBelowOne = 0.1
    """Probability that an activation or attention weight of the decoder is set to 0 in training."""

    def __post_init__(self) -> None:
        if self.layers < 1:
            raise ReknitError(f"layers is {self.layers}; it must be 1 or more")
        if not 0.0 <= self.encoder_share < 1.0:
            raise ReknitError(f"encoder_share is {self.encoder_share}; it must be from 0 to below 1")

    def build(self, encoder: Encoder, vocabulary: Vocabulary, pooling: str) -> DecodedLanguageModel:
        return DecodedLanguageModel(self, encoder.dim, tied_vocabulary(encoder))


class DecodedLanguageModel(ReconstructionObjective):
    """Loss "masked": cross-entropy of the masked tokens, from the decoder's output on top of the encoder's."""

    def __init__(self, spec: DecodedLanguageModelSpec, dim: int, vocabulary: int) -> None:
        super().__init__()
        self.spec = spec
        self.head = LanguageModelHead(dim, vocabulary)
        self.decoder = TransformerStack(
            dim, spec.layers, default_heads(dim), intermediate=4 * dim, dropout=spec.dropout
        )

    def predictions(self, encoder: TokenEncoder, batch: Batch, rng: torch.Generator) -> dict[str, Predictions]:
        spec, seed = self.spec, draw_seed(rng)
        view = spec.masked.corrupt(batch, rng)
        encoded = encoder(view).last
        decoded = self.decoder(
            encoded, batch.cu_seqlens, self._rules(view.masked, token_draws(batch, seed, VISIBLE_TO_DECODER))
        )
        places = view.predict.nonzero().squeeze(1)
        states = decoded[places]
        if self.training and spec.encoder_share:
            from_encoder = token_draws(batch, seed, FROM_ENCODER)[places] < spec.encoder_share
            states = torch.where(from_encoder[:, None], encoded[places].to(states.dtype), states)
        return {"masked": Predictions(self.head(states), places, view.targets[places], view.masked[places])}

    def log_likelihood(self, encoder: TokenEncoder, batch: Batch) -> TextLikelihood:
        def states_of(view: View) -> Tensor:
            states: Tensor = self.head(self.decoder(encoder(view).last, view.cu_seqlens))
            return states

        return pseudo_log_likelihood(states_of, encoder.table, self.head.bias, batch)

    def forward(self, encoder: TokenEncoder, batch: Batch, rng: torch.Generator) -> StepOutput:
        return losses_of(self.predictions(encoder, batch, rng), encoder.table, self.head.bias)

    def _rules(self, hidden: Tensor, draws: Tensor) -> list[VisibleKeys]:
        """Which positions each layer of the decoder may look at: those not hidden, and a growing part of the others."""
        layers = self.spec.layers
        shares = [layer / layers if self.spec.gradual else 1.0 for layer in range(1, layers + 1)]
        return [VisibleKeys(~hidden | (draws < share)) for share in shares]
