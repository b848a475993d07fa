"""RetroMAE and DupMAE: masked auto-encoders whose bottleneck is the sentence vector."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType

import torch
from torch import Tensor

from reknit.corruptions.masking import mask_tokens, word_units
from reknit.data.attention_rules import shifted
from reknit.data.batch import Batch, Vocabulary
from reknit.decoders.bag_of_words import ordinary_content
from reknit.decoders.enhanced import EnhancedDecoder, RandomContext
from reknit.decoders.language_model_head import LanguageModelHead
from reknit.encoders.base import Encoded, Encoder, TokenEncoder
from reknit.encoders.native.config import default_heads
from reknit.encoders.pooling import pool
from reknit.errors import ReknitError
from reknit.losses.bag_of_words import bag_of_words
from reknit.objectives.base import ObjectiveSpec, StepOutput, TextLikelihood
from reknit.objectives.draws import draw_seed, drawn_texts, drawn_tokens
from reknit.objectives.likelihood import masked_log_likelihood
from reknit.objectives.predictions import (
    Predictions,
    ReconstructionObjective,
    losses_of,
    predicted_in_place,
    tied_vocabulary,
    token_entropy,
)
from reknit.ranges import Fraction, FractionBelowOne, NonNegativeFloat, PositiveFraction, PositiveInt


@dataclass(frozen=True)
class RetroMAESpec(ObjectiveSpec):
    """Settings of RetroMAE (Xiao et al. 2022) and, with a bag-of-words weight, DupMAE (Liu et al. 2023)."""

    encoder_ratio: PositiveFraction = 0.3
    """Fraction of each text's ordinary tokens that are masked for the encoder and predicted from it, at least one
    token.
    """
    decoder_ratio: Fraction = 0.5
    """Fraction of the words that each position of the decoder cannot attend to; a larger value makes it rely more on
    the sentence vector.
    """
    whole_words: bool = True
    """Mask all tokens of a chosen word together, for encoder and decoder."""
    bag_of_words_weight: NonNegativeFloat = 0.0
    """Weight of DupMAE's second task, predicting the words of a text; 0 leaves it out."""
    decoded_share: PositiveFraction = 1.0
    """Fraction of a batch's ordinary tokens that the decoder restores in a step, sampled again in each step; 1.0 is the
    papers'. A smaller fraction estimates the same loss without bias and with less work.
    """
    bag_of_words_share: PositiveFraction = 1.0
    """Fraction of a batch's texts that the bag-of-words task is computed on in a step, sampled again in each step; 1.0
    is the papers'.
    """
    decoder_heads: PositiveInt | None = None
    """Attention heads of the decoder; None for the number nearest to 64 dimensions a head that divides its width."""
    max_positions: PositiveInt = 512
    """Longest text in tokens that the decoder has positions for."""
    dropout: FractionBelowOne = 0.1
    """Probability that an activation or attention weight of the decoder is set to 0 in training."""

    def __post_init__(self) -> None:
        if not 0.0 <= self.decoder_ratio <= 1.0:
            raise ReknitError(f"decoder_ratio is {self.decoder_ratio}; it must be between 0 and 1")
        if not 0.0 < self.decoded_share <= 1.0:
            raise ReknitError(f"decoded_share is {self.decoded_share}; it must be above 0 and at most 1")
        if not 0.0 < self.bag_of_words_share <= 1.0:
            raise ReknitError(f"bag_of_words_share is {self.bag_of_words_share}; it must be above 0 and at most 1")
        if self.bag_of_words_weight < 0.0:
            raise ReknitError(f"bag_of_words_weight is {self.bag_of_words_weight}; it must be 0 or more")

    def build(self, encoder: Encoder, vocabulary: Vocabulary, pooling: str) -> RetroMAE:
        return RetroMAE(self, encoder.dim, tied_vocabulary(encoder), pooling)


class RetroMAE(ReconstructionObjective):
    """Losses "masked" (encoder), "decoder" (every token from the sentence vector) and "bag_of_words" (DupMAE).

    The sentence vector is the one that is exported: the encoder's output pooled as `pooling` says (papers: "cls").
    """

    vector_losses = frozenset({"decoder"})
    visible = MappingProxyType({"bag_of_words": "a text's words are read from the states of the text that shows them"})

    def __init__(self, spec: RetroMAESpec, dim: int, vocabulary: int, pooling: str) -> None:
        super().__init__()
        self.spec, self.pooling = spec, pooling
        self.head = LanguageModelHead(dim, vocabulary)
        self.decoder = EnhancedDecoder(
            dim,
            spec.decoder_heads or default_heads(dim),
            intermediate=4 * dim,
            max_positions=spec.max_positions,
            dropout=spec.dropout,
        )

    def predictions(self, encoder: TokenEncoder, batch: Batch, rng: torch.Generator) -> dict[str, Predictions]:
        return self._predict(encoder, batch, rng, draw_seed(rng))[0]

    def forward(self, encoder: TokenEncoder, batch: Batch, rng: torch.Generator) -> StepOutput:
        seed = draw_seed(rng)
        predicted, encoded = self._predict(encoder, batch, rng, seed)
        output = losses_of(predicted, encoder.table, self.head.bias)
        if self.spec.bag_of_words_weight:
            asked = drawn_texts(batch, seed, self.spec.bag_of_words_share)
            rows, cu_seqlens, words = ordinary_content(batch, asked)
            loss = bag_of_words(self.head(encoded.last[rows]), encoder.table, self.head.bias, cu_seqlens, words)
            output.losses["bag_of_words"] = self.spec.bag_of_words_weight * loss
        return output

    def floors(self, encoder: TokenEncoder, batch: Batch, rng: torch.Generator) -> dict[str, float | str]:
        found = super().floors(encoder, batch, rng)
        # In a few steps a vector tells a decoder next to nothing of a random text, so nothing of it counts as seen.
        found["decoder"] = token_entropy(batch.vocabulary)
        if self.spec.bag_of_words_weight:
            found["bag_of_words"] = self.visible["bag_of_words"]
        return found

    def log_likelihood(self, encoder: TokenEncoder, batch: Batch) -> TextLikelihood:
        """Of the encoder's own masked language model."""
        return masked_log_likelihood(encoder, self.head, batch)

    def sentence_vectors(self, encoded: Encoded) -> Tensor:
        """[N, dim] the bottleneck: all that the decoder learns of a text from the encoder."""
        return pool(encoded, self.pooling)

    def _predict(
        self, encoder: TokenEncoder, batch: Batch, rng: torch.Generator, seed: int
    ) -> tuple[dict[str, Predictions], Encoded]:
        spec = self.spec
        view = mask_tokens(batch, rng, ratio=spec.encoder_ratio, whole_words=spec.whole_words)
        encoded = encoder(view)
        masked = predicted_in_place(view, encoded.last, self.head)

        rows = drawn_tokens(batch, seed, spec.decoded_share).nonzero().squeeze(1)
        # The rows' contexts are hashes of flat positions, so they are made of those of the step's whole batch.
        whole = batch.whole
        words = word_units(whole) if spec.whole_words else torch.arange(whole.num_tokens, device=whole.tokens.device)
        context = RandomContext(seed, words, whole.special, spec.decoder_ratio)
        states = self.decoder(
            self.sentence_vectors(encoded),
            batch.tokens,
            batch.cu_seqlens,
            encoder.table,
            shifted(context, batch.first_token),
            rows,
        )
        decoded = Predictions(self.head(states), rows, batch.tokens[rows], view.masked[rows])
        return {"masked": masked, "decoder": decoded}, encoded
