"""Masked language modelling (Devlin et al. 2019)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from reknit.corruptions.masking import mask_tokens
from reknit.data.batch import Batch, View, Vocabulary
from reknit.decoders.language_model_head import LanguageModelHead
from reknit.encoders.base import Encoder
from reknit.objectives.base import ObjectiveSpec, StepOutput
from reknit.objectives.likelihood import pseudo_log_likelihood
from reknit.objectives.predictions import Predictions, ReconstructionObjective, tied_vocabulary


@dataclass(frozen=True)
class MaskedLanguageModelSpec(ObjectiveSpec):
    """ratio: share of ordinary tokens asked for. whole_words: hide whole words. random_share, keep_share: share of the
    tokens asked for that become a random token or stay (BERT: 0.1 and 0.1; the rest becomes the mask token)."""

    ratio: float = 0.15
    whole_words: bool = False
    random_share: float = 0.1
    keep_share: float = 0.1

    def build(self, encoder: Encoder, vocabulary: Vocabulary, pooling: str) -> MaskedLanguageModel:
        return MaskedLanguageModel(self, encoder.dim, tied_vocabulary(encoder))


class MaskedLanguageModel(ReconstructionObjective):
    """Loss "masked": cross-entropy of the hidden tokens, from their own hidden states."""

    def __init__(self, spec: MaskedLanguageModelSpec, dim: int, vocabulary: int) -> None:
        super().__init__()
        self.spec = spec
        self.head = LanguageModelHead(dim, vocabulary)

    def corrupt(self, batch: Batch, rng: torch.Generator) -> View:
        """What the encoder sees, and which tokens are asked for."""
        spec = self.spec
        return mask_tokens(
            batch,
            rng,
            ratio=spec.ratio,
            whole_words=spec.whole_words,
            random_share=spec.random_share,
            keep_share=spec.keep_share,
        )

    def predictions(self, encoder: Encoder, batch: Batch, rng: torch.Generator) -> dict[str, Predictions]:
        view = self.corrupt(batch, rng)
        positions = view.predict.nonzero().squeeze(1)
        states = self.head(encoder(view).last[positions])
        return {"masked": Predictions(states, positions, view.targets[positions], view.hidden[positions])}

    def log_likelihood(self, encoder: Encoder, batch: Batch) -> Tensor | None:
        if self.spec.random_share + self.spec.keep_share >= 1.0:
            return None  # it has never seen a mask

        def states_of(view: View) -> Tensor:
            return self.head(encoder(view).last)

        return pseudo_log_likelihood(states_of, encoder.table, self.head.bias, batch)

    def forward(self, encoder: Encoder, batch: Batch, rng: torch.Generator) -> StepOutput:
        masked = self.predictions(encoder, batch, rng)["masked"]
        loss, accuracy = masked.loss(encoder.table, self.head.bias)
        return StepOutput({"masked": loss}, {"masked_accuracy": accuracy})
