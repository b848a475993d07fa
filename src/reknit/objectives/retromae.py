"""RetroMAE and DupMAE: masked auto-encoders whose bottleneck is the sentence vector."""

from __future__ import annotations

from dataclasses import dataclass

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
)


@dataclass(frozen=True)
class RetroMAESpec(ObjectiveSpec):
    """Settings of RetroMAE (Xiao et al. 2022) and, with a bag-of-words weight, DupMAE (Liu et al. 2023).

    encoder_ratio: share of tokens hidden from the encoder. decoder_ratio: share of words hidden from each decoder row.
    whole_words: hide whole words (both sides). bag_of_words_weight: weight of DupMAE's second task, 0 leaves it out.
    decoded_share: share of a batch's ordinary tokens that the decoder restores in a step, drawn afresh each step; the
        papers decode all (1.0), a smaller share estimates the same loss, unbiased, with less vocabulary work.
    bag_of_words_share: share of a batch's texts that the second task is computed on, likewise (papers: 1.0).
    decoder_heads: attention heads of the decoder, by default 64 coordinates a head. max_positions: longest sequence
        that the decoder can place. dropout: of the decoder.
    """

    encoder_ratio: float = 0.3
    decoder_ratio: float = 0.5
    whole_words: bool = True
    bag_of_words_weight: float = 0.0
    decoded_share: float = 1.0
    bag_of_words_share: float = 1.0
    decoder_heads: int | None = None
    max_positions: int = 512
    dropout: float = 0.1

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
