"""SMAE: a masked auto-encoder that reconstructs from every size of a fixed list, small to full (Starbucks)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from reknit.corruptions.masking import mask_tokens_twice
from reknit.data.batch import Batch, Vocabulary
from reknit.decoders.language_model_head import SlicedLanguageModelHead
from reknit.decoders.masked_decoder import MaskedDecoder
from reknit.encoders.base import Encoded, Encoder, TokenEncoder
from reknit.encoders.pooling import pool
from reknit.errors import ReknitError
from reknit.objectives.base import ObjectiveSpec, StepOutput, TextLikelihood
from reknit.objectives.draws import draw_seed, drawn_tokens
from reknit.objectives.elastic import parse_size, smaller_sizes
from reknit.objectives.likelihood import masked_log_likelihood
from reknit.objectives.predictions import (
    Predictions,
    ReconstructionObjective,
    losses_of,
    predicted_in_place,
    tied_vocabulary,
    token_entropy,
)
from reknit.ranges import Fraction, FractionBelowOne, PositiveFraction, PositiveInt


@dataclass(frozen=True)
class ElasticAutoencoderSpec(ObjectiveSpec):
    """Settings of Starbucks' pre-training, SMAE (Zhuang et al. 2024)."""

    sizes: tuple[str, ...] = ()
    """Smaller sizes that are trained beside the full model, as LAYERSxDIMENSIONS, such as 2x64. Empty for up to 6
    sizes, the full one included: even steps in layers, each with half the dimensions of the next.
    """
    encoder_ratio: PositiveFraction = 0.2
    """Fraction of each text's ordinary tokens that are masked for the encoder and predicted from it, at least one
    token.
    """
    decoder_ratio: PositiveFraction = 0.4
    """Fraction of each text's ordinary tokens that are masked for the decoder and predicted by it, at least one token;
    where it is larger than encoder_ratio, these include the encoder's.
    """
    whole_words: bool = True
    """Mask all tokens of a chosen word together, for encoder and decoder."""
    random_share: Fraction = 0.1
    """Fraction of the predicted tokens that are replaced by a random token instead of the mask token (BERT: 0.1)."""
    keep_share: Fraction = 0.1
    """Fraction of the predicted tokens that stay as they are (BERT: 0.1); those neither random nor kept become the mask
    token.
    """
    decoded_share: PositiveFraction = 1.0
    """Fraction of the decoder's predictions that are computed in a step, sampled again in each step; 1.0 is the
    paper's. A smaller fraction estimates the same loss without bias and with less work.
    """
    decoder_heads: PositiveInt | None = None
    """Attention heads of the decoder; None for the number nearest to 64 dimensions a head that divides its width."""
    max_positions: PositiveInt = 512
    """Longest text in tokens that the decoder has positions for."""
    dropout: FractionBelowOne = 0.1
    """Probability that an activation or attention weight of the decoder is set to 0 in training."""

    def __post_init__(self) -> None:
        if not 0.0 < self.decoded_share <= 1.0:
            raise ReknitError(f"decoded_share is {self.decoded_share}; it must be above 0 and at most 1")
        for size in self.sizes:
            parse_size(size)

    def build(self, encoder: Encoder, vocabulary: Vocabulary, pooling: str) -> ElasticAutoencoder:
        sizes = [*smaller_sizes(self.sizes, encoder), (encoder.depth, encoder.dim)]
        return ElasticAutoencoder(self, sizes, tied_vocabulary(encoder), pooling)


class ElasticAutoencoder(ReconstructionObjective):
    """Of each size, such as 2x64 (two layers, 64 dimensions), the losses "masked_2x64" and "decoded_2x64".

    The first asks for what is hidden from the encoder, from the hidden states of that layer cut to these dimensions.
    In the second a decoder of one layer fills a text with more gaps, in which the first token is the size's sentence
    vector, pooled as `pooling` says (paper: "cls"), cut, and brought to full width by the head that all predictions
    pass. All sizes read one pass of the encoder, one pair of masks, and share head and decoder; the total is the mean
    over the sizes of the mean of both.
    """

    def __init__(
        self, spec: ElasticAutoencoderSpec, sizes: list[tuple[int, int]], vocabulary: int, pooling: str
    ) -> None:
        super().__init__()
        self.spec, self.sizes, self.pooling = spec, sizes, pooling
        depth, dim = sizes[-1]
        # A small size's losses end at its own layer.
        self.partial = frozenset(
            f"{kind}_{layers}x{dims}" for layers, dims in sizes if layers < depth for kind in ("masked", "decoded")
        )
        self.vector_losses = frozenset(f"decoded_{layers}x{dims}" for layers, dims in sizes)
        self.head = SlicedLanguageModelHead(dim, vocabulary)
        self.decoder = MaskedDecoder(
            dim, heads=spec.decoder_heads, max_positions=spec.max_positions, dropout=spec.dropout
        )

    def predictions(self, encoder: TokenEncoder, batch: Batch, rng: torch.Generator) -> dict[str, Predictions]:
        spec, seed = self.spec, draw_seed(rng)
        shown, sparse = mask_tokens_twice(
            batch,
            rng,
            ratios=(spec.encoder_ratio, spec.decoder_ratio),
            whole_words=spec.whole_words,
            random_share=spec.random_share,
            keep_share=spec.keep_share,
        )
        encoded = encoder(shown, sorted({layers for layers, _ in self.sizes}))
        rows = (sparse.predict & drawn_tokens(batch, seed, spec.decoded_share)).nonzero().squeeze(1)
        # What the encoder saw, its sentence vector may tell.
        unseen = (sparse.masked & shown.masked)[rows]
        weight = 1.0 / (2 * len(self.sizes))
        found = {}
        for layers, dims in self.sizes:
            states = encoded.states[layers][:, :dims]
            found[f"masked_{layers}x{dims}"] = predicted_in_place(shown, states, self.head, weight)
            vectors = self.head(self.sentence_vectors(encoded, layers)[:, :dims])
            decoded = self.head(self.decoder(vectors, sparse.tokens, sparse.cu_seqlens, encoder.table)[rows])
            found[f"decoded_{layers}x{dims}"] = Predictions(decoded, rows, sparse.targets[rows], unseen, weight)
        return found

    def forward(self, encoder: TokenEncoder, batch: Batch, rng: torch.Generator) -> StepOutput:
        return losses_of(self.predictions(encoder, batch, rng), encoder.table, self.head.bias)

    def floors(self, encoder: TokenEncoder, batch: Batch, rng: torch.Generator) -> dict[str, float | str]:
        # In a few steps a vector tells a decoder next to nothing of a random text: what it knows is what is kept.
        decoded = (1.0 - self.spec.keep_share) * token_entropy(batch.vocabulary) / (2 * len(self.sizes))
        return super().floors(encoder, batch, rng) | dict.fromkeys(self.vector_losses, decoded)

    def log_likelihood(self, encoder: TokenEncoder, batch: Batch) -> TextLikelihood | None:
        """Of the full size's masked language model."""
        if self.spec.random_share + self.spec.keep_share >= 1.0:
            return None  # it has never seen a mask
        return masked_log_likelihood(encoder, self.head, batch)

    def sentence_vectors(self, encoded: Encoded, layers: int) -> Tensor:
        """[N, dim] of a layer's hidden states, not yet cut: all that the decoder learns of a text from the encoder."""
        return pool(encoded, self.pooling, layers)
