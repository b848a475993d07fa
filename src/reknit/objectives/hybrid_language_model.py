"""Causal and masked language modelling in one batch, both predicting the next token (GPT-BERT)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from reknit.corruptions.masking import mask_tokens, ordinary_tokens
from reknit.data.attention_rules import AttentionRule, CausalWhere
from reknit.data.batch import Batch, View, Vocabulary
from reknit.decoders.language_model_head import LanguageModelHead
from reknit.encoders.base import Encoder, TokenEncoder
from reknit.errors import ReknitError
from reknit.objectives.base import FollowsProgress, ObjectiveSpec, StepOutput, TextLikelihood
from reknit.objectives.draws import CAUSAL_TEXT, draw_seed, text_draws
from reknit.objectives.likelihood import causal_log_likelihood
from reknit.objectives.predictions import Predictions, ReconstructionObjective, losses_of, tied_vocabulary
from reknit.ranges import Fraction, PositiveFraction, PositiveInt


@dataclass(frozen=True)
class HybridLanguageModelSpec(ObjectiveSpec):
    """Settings of GPT-BERT (Charpentier and Samuel 2024)."""

    causal_share: Fraction = 0.5
    """Fraction of the texts that are read causally, each drawn at random; the others are masked."""
    first_ratio: PositiveFraction = 0.3
    """Fraction of a masked text's tokens that are predicted at the beginning of training; it changes linearly to
    last_ratio.
    """
    last_ratio: Fraction = 0.15
    """Fraction of a masked text's tokens that are predicted at the end of training."""
    longest_span: PositiveInt = 3
    """Tokens of a masked span, at most; all lengths from 1 to this are equally likely."""
    random_share: Fraction = 0.1
    """Fraction of the predicted tokens that are replaced by a random token instead of the mask token (BERT: 0.1)."""
    keep_share: Fraction = 0.1
    """Fraction of the predicted tokens that stay as they are (BERT: 0.1); those neither random nor kept become the mask
    token.
    """

    def __post_init__(self) -> None:
        if not 0.0 <= self.causal_share <= 1.0:
            raise ReknitError(f"causal_share is {self.causal_share}; it must be between 0 and 1")

    def rules(self) -> tuple[AttentionRule, ...]:
        return (CausalWhere(torch.zeros(0, dtype=torch.bool)),)

    def build(self, encoder: Encoder, vocabulary: Vocabulary, pooling: str) -> HybridLanguageModel:
        return HybridLanguageModel(self, encoder.dim, tied_vocabulary(encoder))


class HybridLanguageModel(FollowsProgress[TokenEncoder], ReconstructionObjective):
    """Losses "masked" and "causal", of a step that has both; each is weighted by its share of the texts.

    The prediction of a token is read one place before it in both, so that one head and one alignment serve both.
    """

    def __init__(self, spec: HybridLanguageModelSpec, dim: int, vocabulary: int) -> None:
        super().__init__()
        self.spec = spec
        self.head = LanguageModelHead(dim, vocabulary)

    @property
    def stage(self) -> str:
        # How many texts of a step are causal is random, and the ratio falls: FLOPs are counted ten times, not once.
        return str(int(10 * float(self.progress)))

    def predictions(self, encoder: TokenEncoder, batch: Batch, rng: torch.Generator) -> dict[str, Predictions]:
        view, causal = self._view(batch, rng)
        states = encoder(view).last
        found = {}
        for name, asked, weight in (
            ("masked", view.predict & ~causal, 1 - self.spec.causal_share),
            ("causal", view.predict & causal, self.spec.causal_share),
        ):
            places = asked.nonzero().squeeze(1)
            unseen = view.masked[places] | causal[places]
            found[name] = Predictions(self.head(states[places - 1]), places, view.targets[places], unseen, weight)
        return found

    def log_likelihood(self, encoder: TokenEncoder, batch: Batch) -> TextLikelihood:
        """Of the causal model."""
        return causal_log_likelihood(encoder, self.head, batch)

    def forward(self, encoder: TokenEncoder, batch: Batch, rng: torch.Generator) -> StepOutput:
        return losses_of(self.predictions(encoder, batch, rng), encoder.table, self.head.bias)

    def _view(self, batch: Batch, rng: torch.Generator) -> tuple[View, Tensor]:
        """What the encoder sees, and [T] bool, the tokens of the texts that are read causally."""
        spec, seed = self.spec, draw_seed(rng)
        ratio = spec.first_ratio + (spec.last_ratio - spec.first_ratio) * float(self.progress)
        masked = mask_tokens(
            batch,
            rng,
            ratio=ratio,
            random_share=spec.random_share,
            keep_share=spec.keep_share,
            longest_span=spec.longest_span,
        )
        causal = text_draws(batch, seed, CAUSAL_TEXT) < spec.causal_share
        predict = torch.where(causal, ordinary_tokens(batch), masked.predict)
        predict[batch.cu_seqlens[:-1]] = False
        view = replace(
            masked,
            tokens=torch.where(causal, batch.tokens, masked.tokens),
            masked=masked.masked & ~causal,
            predict=predict,
            attention=CausalWhere(causal),
        )
        return view, causal
