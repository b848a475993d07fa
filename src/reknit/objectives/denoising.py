"""Denoising by an encoder and a decoder: the decoder writes the text that the encoder saw damaged (BART, TSDAE)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from reknit.corruptions.masking import ordinary_tokens
from reknit.corruptions.noising import Noise, noised
from reknit.data.batch import Batch, Vocabulary
from reknit.decoders.language_model_head import TiedBias
from reknit.decoders.text_decoder import TextDecoder
from reknit.encoders.base import Encoder, TokenEncoder, token_encoder
from reknit.encoders.pooling import pool
from reknit.errors import ReknitError
from reknit.objectives.base import ObjectiveSpec, StepOutput
from reknit.objectives.predictions import (
    Predictions,
    ReconstructionObjective,
    losses_of,
    tied_vocabulary,
    token_entropy,
)
from reknit.ranges import FractionBelowOne, InnerFraction, PositiveFloat, PositiveInt


@dataclass(frozen=True)
class DenoisingSpec(ObjectiveSpec):
    """Settings of BART (Lewis et al. 2020)."""

    noise: Noise = "infilling"
    """What becomes of the chosen tokens in the text that the encoder reads: "infilling" replaces each span by one mask
    token, "masking" each token by one, "deletion" drops them, "none" changes none.
    """
    ratio: InnerFraction = 0.3
    """Fraction of a text's tokens that the noise takes away."""
    mean_span: PositiveFloat = 3.0
    """Mean length in tokens of the spans of "infilling", drawn from a Poisson distribution."""
    permute_sentences: bool = True
    """Put the sentences of the text that the encoder reads in random order."""
    memory: Literal["tokens", "vector"] = "tokens"
    """What the decoder attends to: the states of all "tokens", or the sentence "vector" alone (TSDAE, Wang et al.
    2021).
    """
    layers: PositiveInt | None = None
    """Layers of the decoder; None for the encoder's number."""
    max_positions: PositiveInt = 512
    """Longest text in tokens that the decoder has positions for."""
    dropout: FractionBelowOne = 0.1
    """Probability that an activation or attention weight of the decoder is set to 0 in training."""

    def __post_init__(self) -> None:
        if self.layers is not None and self.layers < 1:
            raise ReknitError(f"layers is {self.layers}; it must be 1 or more")

    def build(self, encoder: Encoder, vocabulary: Vocabulary, pooling: str) -> Denoising:
        return Denoising(self, token_encoder(encoder), pooling)


class Denoising(ReconstructionObjective):
    """Cross-entropy of every token of the clean text, given those before it and the damaged text: loss "denoised", or
    "decoder" where the decoder has the sentence vector only, pooled as the exported model does.
    """

    def __init__(self, spec: DenoisingSpec, encoder: TokenEncoder, pooling: str) -> None:
        super().__init__()
        self.spec, self.pooling = spec, pooling
        if spec.memory == "vector":
            self.vector_losses = frozenset({"decoder"})
        self.head = TiedBias(tied_vocabulary(encoder))
        self.decoder = TextDecoder(
            encoder.dim, spec.layers or encoder.depth, max_positions=spec.max_positions, dropout=spec.dropout
        )

    def predictions(self, encoder: TokenEncoder, batch: Batch, rng: torch.Generator) -> dict[str, Predictions]:
        spec = self.spec
        view, unseen = noised(
            batch,
            rng,
            noise=spec.noise,
            ratio=spec.ratio,
            mean_span=spec.mean_span,
            permute_sentences=spec.permute_sentences,
        )
        encoded = encoder(view)
        name, memory, offsets = "denoised", encoded.last, encoded.cu_seqlens
        if spec.memory == "vector":
            name, memory = "decoder", pool(encoded, self.pooling)
            offsets = torch.arange(batch.num_sequences + 1, device=memory.device)
        return {name: written_text(self.decoder, batch, encoder.table, memory, offsets, unseen)}

    def floors(self, encoder: TokenEncoder, batch: Batch, rng: torch.Generator) -> dict[str, float | str]:
        # In a few steps a vector tells a decoder next to nothing of a random text, so nothing of it counts as seen.
        told = dict.fromkeys(self.vector_losses, token_entropy(batch.vocabulary))
        return super().floors(encoder, batch, rng) | told

    def forward(self, encoder: TokenEncoder, batch: Batch, rng: torch.Generator) -> StepOutput:
        return losses_of(self.predictions(encoder, batch, rng), encoder.table, self.head.bias)


def written_text(
    decoder: TextDecoder,
    batch: Batch,
    table: Tensor,
    memory: Tensor,
    memory_seqlens: Tensor,
    unseen: Tensor,
    weight: float = 1.0,
) -> Predictions:
    """A decoder's predictions of the clean text: of every ordinary token but a first one that nothing stands before.

    table, memory, memory_seqlens: as `TextDecoder` takes them. unseen: [T] bool, what the encoder could not see.
    """
    written = decoder(batch.tokens, batch.cu_seqlens, table, memory, memory_seqlens)
    asked = ordinary_tokens(batch)
    asked[batch.cu_seqlens[:-1]] = False
    places = asked.nonzero().squeeze(1)
    # As everywhere with a decoder from left to right, what stands before a token predicts it.
    return Predictions(written[places - 1], places, batch.tokens[places], unseen[places], weight)
