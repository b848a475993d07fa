"""Masked words in blocks of sentences, and masked blocks in documents (SMITH)."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn import functional

from reknit.corruptions.blocks import Blocks, cut_into_blocks
from reknit.data.batch import Batch, Vocabulary, positions_of, segments_of
from reknit.decoders.document_transformer import DocumentTransformer
from reknit.decoders.enhanced import hashed_uniform
from reknit.decoders.language_model_head import LanguageModelHead
from reknit.encoders.base import Encoder, TokenEncoder
from reknit.encoders.pooling import pool
from reknit.errors import ReknitError
from reknit.objectives.base import ObjectiveSpec, StepOutput, TextLikelihood
from reknit.objectives.draws import HIDDEN_BLOCK, draw_seed
from reknit.objectives.likelihood import masked_log_likelihood
from reknit.objectives.masked_language_model import MaskedLanguageModelSpec
from reknit.objectives.predictions import Matches, Predictions, ReconstructionObjective, losses_of, tied_vocabulary
from reknit.ranges import FractionBelowOne, InnerFraction, NonNegativeFloat, PositiveInt


@dataclass(frozen=True)
class SentenceBlocksSpec(ObjectiveSpec):
    """Settings of SMITH's pre-training (Yang et al. 2020)."""

    masked: MaskedLanguageModelSpec = field(default_factory=MaskedLanguageModelSpec)
    """How tokens are masked in each block."""
    block_tokens: PositiveInt = 30
    """Tokens of a block, at most, beside those that the tokenizer adds; a block is filled with whole sentences."""
    masked_blocks: InnerFraction = 0.2
    """Fraction of a text's blocks that are masked and found again among those of the batch; at least one in texts of
    two blocks or more, and never all.
    """
    blocks_weight: NonNegativeFloat = 1.0
    """Weight of finding the masked blocks, beside 1 for masked words; 0 leaves it out."""
    layers: PositiveInt = 3
    """Layers of the document transformer, which reads the vectors of the blocks."""
    max_blocks: PositiveInt = 64
    """Blocks of a text, at most."""
    dropout: FractionBelowOne = 0.1
    """Probability that an activation or attention weight of the document transformer is set to 0 in training."""

    def __post_init__(self) -> None:
        if not 0.0 < self.masked_blocks < 1.0:
            raise ReknitError(f"masked_blocks is {self.masked_blocks}; it must be between 0 and 1")
        if self.blocks_weight < 0.0 or self.layers < 1:
            raise ReknitError("objective.blocks_weight must be 0 or more, and objective.layers 1 or more")

    def build(self, encoder: Encoder, vocabulary: Vocabulary, pooling: str) -> SentenceBlocks:
        return SentenceBlocks(self, encoder.dim, tied_vocabulary(encoder), pooling)


class SentenceBlocks(ReconstructionObjective):
    """Losses "masked" (words, by the encoder, each block read alone) and "blocks" (hidden blocks, from the others).

    A block's vector is the encoder's output, pooled as the exported model does and brought to length 1. The guess at a
    hidden one has about length sqrt(dim), so that the scores between them go from -sqrt(dim) to sqrt(dim): wide enough
    for a sharp choice, and no wider, whatever the encoder's own scale is.
    """

    vector_losses = frozenset({"blocks"})

    def __init__(self, spec: SentenceBlocksSpec, dim: int, vocabulary: int, pooling: str) -> None:
        super().__init__()
        self.spec, self.pooling = spec, pooling
        self.head = LanguageModelHead(dim, vocabulary)
        self.document: DocumentTransformer | None = None
        if spec.blocks_weight:
            self.document = DocumentTransformer(dim, spec.layers, max_blocks=spec.max_blocks, dropout=spec.dropout)

    def predictions(self, encoder: TokenEncoder, batch: Batch, rng: torch.Generator) -> dict[str, Predictions]:
        return self._predict(encoder, batch, rng)[0]

    def matches(self, encoder: TokenEncoder, batch: Batch, rng: torch.Generator) -> dict[str, Matches]:
        return self._predict(encoder, batch, rng)[1]

    def forward(self, encoder: TokenEncoder, batch: Batch, rng: torch.Generator) -> StepOutput:
        predicted, matches = self._predict(encoder, batch, rng)
        output = losses_of(predicted, encoder.table, self.head.bias)
        for name, found in matches.items():
            output.losses[name], output.metrics[f"{name}_accuracy"] = found.loss()
        return output

    def log_likelihood(self, encoder: TokenEncoder, batch: Batch) -> TextLikelihood | None:
        """Of each text's blocks, each read alone, as the encoder has learnt it."""
        if self.spec.masked.random_share + self.spec.masked.keep_share >= 1.0:
            return None  # it has never seen a mask
        blocks = cut_into_blocks(batch, self.spec.block_tokens)
        of_blocks = masked_log_likelihood(encoder, self.head, blocks.batch)
        owners = segments_of(blocks.cu_texts)
        logs, tokens = (
            torch.zeros(batch.num_sequences, dtype=each.dtype, device=each.device).index_add_(0, owners, each)
            for each in (of_blocks.logs, of_blocks.tokens)
        )
        return TextLikelihood(logs, tokens, of_blocks.causal)

    def _predict(
        self, encoder: TokenEncoder, batch: Batch, rng: torch.Generator
    ) -> tuple[dict[str, Predictions], dict[str, Matches]]:
        seed = draw_seed(rng)
        blocks = cut_into_blocks(batch, self.spec.block_tokens)
        view = self.spec.masked.corrupt(blocks.batch, rng)
        encoded = encoder(view)
        asked = (view.predict & ~blocks.told_by_cuts()).nonzero().squeeze(1)
        masked = Predictions(
            self.head(encoded.last[asked]), blocks.source[asked], view.targets[asked], view.masked[asked]
        )
        if self.document is None:
            return {"masked": masked}, {}
        vectors = functional.normalize(pool(encoded, self.pooling).float(), dim=-1)
        return {"masked": masked}, {"blocks": self._match(self.document, vectors, blocks, seed)}

    def _match(self, document: DocumentTransformer, vectors: Tensor, blocks: Blocks, seed: int) -> Matches:
        """The choice of the masked blocks' vectors; [B, dim] are those of this shard's blocks."""
        all_hidden = hidden_blocks(blocks.whole_cu_texts, seed, self.spec.masked_blocks)
        share = blocks.batch.shard
        hidden = all_hidden if share is None else all_hidden[share.first : share.last]
        # All texts go through, also those of one block: where none is hidden, the weights still get a gradient of 0.
        states = document(vectors, blocks.cu_texts, hidden)
        first, total = (0, None) if share is None else (int(all_hidden[: share.first].sum()), int(all_hidden.sum()))
        return Matches(states, vectors[hidden], blocks.begins[hidden], self.spec.blocks_weight, first, total)


def hidden_blocks(cu_texts: Tensor, seed: int, share: float) -> Tensor:
    """[B] bool, the blocks to be found again: of each text `share`, one at least and never all; none of a single one.

    cu_texts: [N + 1] int64 offsets of the texts of the step's whole batch. The draws are hashes of the seed and the
    block's number.
    """
    counts, texts = cu_texts.diff(), segments_of(cu_texts)
    numbers = torch.arange(texts.numel(), device=cu_texts.device)
    draws = hashed_uniform(seed, numbers, torch.full_like(numbers, HIDDEN_BLOCK))
    wanted = torch.minimum((share * counts.double()).round().clamp(min=1), counts - 1)
    # Sorted by text and then by draw, a block's place in its text is the rank of its draw.
    order = (texts.double() + draws.double()).argsort()
    hidden = torch.zeros_like(texts, dtype=torch.bool)
    hidden[order] = positions_of(cu_texts) < wanted[texts]
    return hidden
