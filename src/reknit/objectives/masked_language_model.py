"""Masked language modelling (Devlin et al. 2019)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from reknit.corruptions.masking import mask_tokens
from reknit.corruptions.span_token_masking import mask_span_tokens
from reknit.data.batch import Batch, View, Vocabulary
from reknit.decoders.language_model_head import LanguageModelHead
from reknit.encoders.base import Encoder, TokenEncoder
from reknit.errors import ReknitError
from reknit.objectives.base import ObjectiveSpec, StepOutput, TextLikelihood
from reknit.objectives.likelihood import masked_log_likelihood
from reknit.objectives.predictions import (
    Predictions,
    ReconstructionObjective,
    losses_of,
    predicted_in_place,
    tied_vocabulary,
)
from reknit.ranges import Fraction, PositiveFraction


@dataclass(frozen=True)
class MaskedLanguageModelSpec(ObjectiveSpec):
    """Settings of masked language modelling (BERT, Devlin et al. 2019)."""

    ratio: PositiveFraction = 0.15
    """Fraction of each text's ordinary tokens that are predicted, at least one token; most of them are masked."""
    whole_words: bool = False
    """Mask all tokens of a chosen word together."""
    random_share: Fraction = 0.1
    """Fraction of the predicted tokens that are replaced by a random token instead of the mask token (BERT: 0.1)."""
    keep_share: Fraction = 0.1
    """Fraction of the predicted tokens that stay as they are (BERT: 0.1); those neither random nor kept become the mask
    token.
    """
    one_of_span: bool = False
    """Mask one token of each tagged span that is drawn and leave the rest of the span as it is (LEM); needs
    data.tagger.
    """
    read_before: bool = False
    """Read each prediction one position to the left, as a causal model has learned to make them (masked next-token
    prediction, LLM2Vec, BehnamGhader et al. 2024); a text's first token is then not predicted.
    """

    def __post_init__(self) -> None:
        if self.one_of_span and self.whole_words:
            raise ReknitError("one_of_span masks single tokens: set whole_words=false, or one_of_span=false")

    def corrupt(self, batch: Batch, rng: torch.Generator) -> View:
        """What the encoder sees, and which tokens are predicted."""
        mask = mask_span_tokens if self.one_of_span else partial(mask_tokens, whole_words=self.whole_words)
        view = mask(batch, rng, ratio=self.ratio, random_share=self.random_share, keep_share=self.keep_share)
        if self.read_before:
            view.predict[view.cu_seqlens[:-1]] = False
        return view

    def build(self, encoder: Encoder, vocabulary: Vocabulary, pooling: str) -> MaskedLanguageModel:
        return MaskedLanguageModel(self, encoder.dim, tied_vocabulary(encoder))


class MaskedLanguageModel(ReconstructionObjective):
    """Loss "masked": cross-entropy of the hidden tokens, from their own hidden states."""

    def __init__(self, spec: MaskedLanguageModelSpec, dim: int, vocabulary: int) -> None:
        super().__init__()
        self.spec = spec
        self.head = LanguageModelHead(dim, vocabulary)

    def predictions(self, encoder: TokenEncoder, batch: Batch, rng: torch.Generator) -> dict[str, Predictions]:
        view = self.spec.corrupt(batch, rng)
        return {"masked": predicted_in_place(view, self.read(encoder(view).last), self.head)}

    def log_likelihood(self, encoder: TokenEncoder, batch: Batch) -> TextLikelihood | None:
        if self.spec.random_share + self.spec.keep_share >= 1.0:
            return None  # it has never seen a mask
        return masked_log_likelihood(encoder, self.head, batch, read=self.read)

    def forward(self, encoder: TokenEncoder, batch: Batch, rng: torch.Generator) -> StepOutput:
        return losses_of(self.predictions(encoder, batch, rng), encoder.table, self.head.bias)

    def read(self, states: Tensor) -> Tensor:
        """[T, dim] states -> those that the predictions of the tokens are made from."""
        return states.roll(1, dims=0) if self.spec.read_before else states
