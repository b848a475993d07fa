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
from reknit.objectives.likelihood import masked_log_likelihood
from reknit.objectives.predictions import Predictions, ReconstructionObjective, losses_of, tied_vocabulary


@dataclass(frozen=True)
class MaskedLanguageModelSpec(ObjectiveSpec):
    """ratio: share of ordinary tokens asked for. whole_words: hide whole words. random_share, keep_share: share of the
    tokens asked for that become a random token or stay (BERT: 0.1 and 0.1; the rest becomes the mask token)."""

    ratio: float = 0.15
    whole_words: bool = False
    random_share: float = 0.1
    keep_share: float = 0.1

    def corrupt(self, batch: Batch, rng: torch.Generator) -> View:
        """What the encoder sees, and which tokens are asked for."""
        return mask_tokens(
            batch,
            rng,
            ratio=self.ratio,
            whole_words=self.whole_words,
            random_share=self.random_share,
            keep_share=self.keep_share,
        )

    def build(self, encoder: Encoder, vocabulary: Vocabulary, pooling: str) -> MaskedLanguageModel:
        return MaskedLanguageModel(self, encoder.dim, tied_vocabulary(encoder))


class MaskedLanguageModel(ReconstructionObjective):
    """Loss "masked": cross-entropy of the hidden tokens, from their own hidden states."""

    def __init__(self, spec: MaskedLanguageModelSpec, dim: int, vocabulary: int) -> None:
        super().__init__()
        self.spec = spec
        self.head = LanguageModelHead(dim, vocabulary)

    def predictions(self, encoder: Encoder, batch: Batch, rng: torch.Generator) -> dict[str, Predictions]:
        view = self.spec.corrupt(batch, rng)
        positions = view.predict.nonzero().squeeze(1)
        states = self.head(encoder(view).last[positions])
        return {"masked": Predictions(states, positions, view.targets[positions], view.hidden[positions])}

    def log_likelihood(self, encoder: Encoder, batch: Batch) -> Tensor | None:
        if self.spec.random_share + self.spec.keep_share >= 1.0:
            return None  # it has never seen a mask
        return masked_log_likelihood(encoder, self.head, batch)

    def forward(self, encoder: Encoder, batch: Batch, rng: torch.Generator) -> StepOutput:
        return losses_of(self.predictions(encoder, batch, rng), encoder.table, self.head.bias)
