"""Do these two texts belong together? Asked of a pair read as one text, beside masked language modelling of it.

The structural objectives of Di Liello et al. (2022, https://arxiv.org/abs/2205.10455); which texts belong together is
the data's business (`data.pair_kinds`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType

import torch
from torch import Tensor

from reknit.data.batch import Batch, Vocabulary
from reknit.data.shard import shard_of_examples
from reknit.decoders.cross_encoder import joined_rows
from reknit.decoders.detection_head import DetectionHead
from reknit.decoders.enhanced import hashed_uniform
from reknit.decoders.language_model_head import LanguageModelHead
from reknit.encoders.base import Encoder, TokenEncoder
from reknit.encoders.pooling import pool
from reknit.errors import ReknitError
from reknit.objectives.adversarial_ranking import largest_allowed
from reknit.objectives.base import ObjectiveSpec, StepOutput, TextLikelihood
from reknit.objectives.draws import draw_seed
from reknit.objectives.masked_language_model import MaskedLanguageModel, MaskedLanguageModelSpec
from reknit.objectives.predictions import (
    Decisions,
    Predictions,
    ReconstructionObjective,
    losses_of,
    predicted_in_place,
    tied_vocabulary,
)
from reknit.ranges import NonNegativeInt, PositiveFloat, PositiveInt


@dataclass(frozen=True)
class RelatedTextsSpec(ObjectiveSpec):
    """Settings of structural objectives on pairs of texts (Di Liello et al. 2022)."""

    negatives: PositiveInt = 4
    """Other texts that the first text of a pair is read with, besides its own second text."""
    hard_negatives: NonNegativeInt = 2
    """Negatives from the same document, at most; the others are from other documents. They need
    data.pairs_per_document=2 or more.
    """
    related_weight: PositiveFloat = 1.0
    """Weight of deciding whether two texts belong together, beside 1 for masked language modelling."""
    masked: MaskedLanguageModelSpec = field(default_factory=MaskedLanguageModelSpec)
    """Masked language modelling of the two texts, read as one."""

    def __post_init__(self) -> None:
        if not 0 <= self.hard_negatives <= self.negatives:
            raise ReknitError(f"hard_negatives is {self.hard_negatives}: it must be 0 to negatives ({self.negatives})")
        if self.negatives < 1 or self.related_weight <= 0.0:
            raise ReknitError("negatives must be 1 or more, and related_weight above 0")

    def build(self, encoder: Encoder, vocabulary: Vocabulary, pooling: str) -> RelatedTexts:
        return RelatedTexts(self, encoder.dim, tied_vocabulary(encoder), pooling)


class RelatedTexts(ReconstructionObjective):
    """Losses "masked" (of both texts, each seen by the other) and "related" (a yes or no from the pooled vector).

    Encoder and pooling are those that are exported; two texts are "[CLS] first [SEP] second [SEP]", of one token type.
    Raises ReknitError for a batch that is not of pairs, and as `joined_rows` does.
    """

    vector_losses = frozenset({"related"})
    visible = MappingProxyType({"related": "whether two texts belong together is to be read from both"})

    def __init__(self, spec: RelatedTextsSpec, dim: int, vocabulary: int, pooling: str) -> None:
        super().__init__()
        self.spec, self.pooling = spec, pooling
        self.language = MaskedLanguageModel(spec.masked, dim, vocabulary)
        self.related = DetectionHead(dim)

    @property
    def head(self) -> LanguageModelHead:
        """The head that predicts masked tokens."""
        return self.language.head

    def predictions(self, encoder: TokenEncoder, batch: Batch, rng: torch.Generator) -> dict[str, Predictions]:
        return {"masked": self._read(encoder, batch, rng)[0]}

    def decisions(self, encoder: TokenEncoder, batch: Batch, rng: torch.Generator) -> dict[str, Decisions]:
        return {"related": self._read(encoder, batch, rng)[1]}

    def log_likelihood(self, encoder: TokenEncoder, batch: Batch) -> TextLikelihood | None:
        return self.language.log_likelihood(encoder, batch)

    def forward(self, encoder: TokenEncoder, batch: Batch, rng: torch.Generator) -> StepOutput:
        masked, related = self._read(encoder, batch, rng)
        output = losses_of({"masked": masked}, encoder.table, self.head.bias)
        loss, output.metrics["related_accuracy"] = related.loss()
        output.losses["related"] = loss
        return output

    def _read(self, encoder: TokenEncoder, batch: Batch, rng: torch.Generator) -> tuple[Predictions, Decisions]:
        """What is said of this share's pairs; positions are those of the whole batch's tokens, a pair's where its first
        text begins."""
        whole, spec = batch.whole, self.spec
        if whole.sequences_per_example != 2:
            raise ReknitError("this objective reads pairs: give its recipe data=PairSpec(pair_kinds=...)")
        listed, present = drawn_lists(whole, spec.negatives, spec.hard_negatives, draw_seed(rng))
        examples, places = present.nonzero(as_tuple=True)
        first, second, own = 2 * examples, 2 * listed[present] + 1, places == 0
        rows, cu_seqlens = joined_rows(whole, first, second, getattr(encoder, "max_positions", None))
        together = Batch(whole.tokens[rows], cu_seqlens, whole.special[rows], whole.word_starts[rows], whole.vocabulary)
        if batch.shard is not None:
            begin, end = (int((first < sequence).sum()) for sequence in (batch.shard.first, batch.shard.last))
            together, first, own = shard_of_examples(together, begin, end), first[begin:end], own[begin:end]
            rows = rows[together.first_token :][: together.num_tokens]
        view = spec.masked.corrupt(together, rng)
        encoded = encoder(view)
        masked = predicted_in_place(view, self.language.read(encoded.last), self.head)
        logits = self.related(pool(encoded, self.pooling).to(self.related.dense.weight.dtype))
        return (
            Predictions(masked.states, rows[masked.positions], masked.targets, masked.unseen),
            Decisions(logits, whole.cu_seqlens[first], own, spec.related_weight),
        )


def drawn_lists(batch: Batch, negatives: int, hard: int, seed: int) -> tuple[Tensor, Tensor]:
    """Of each example its own number, and those of examples whose second text the first one is read with, by chance.

    Up to `hard` of the same group come first, then others of other groups until there are `negatives`.
    batch: a whole batch of B pairs. seed: of the draws, which are hashes of two numbers of examples. Returns
    [B, 1 + min(hard, B) + min(negatives, B)] int64 numbers of examples and bool, False where the batch has no more.
    """
    examples = torch.arange(batch.num_sequences // 2, device=batch.tokens.device)
    groups = examples if batch.groups is None else batch.groups
    # The smallest draws come first.
    draws = -hashed_uniform(seed, examples[:, None], examples[None, :])
    same = groups[:, None] == groups[None, :]
    itself = examples[:, None] == examples[None, :]
    listed, present = [examples[:, None]], [torch.ones_like(examples[:, None], dtype=torch.bool)]
    for allowed, most in ((same & ~itself, hard), (~same, negatives)):
        drawn, found = largest_allowed(draws, allowed, most)
        listed.append(drawn)
        present.append(found)
    chosen = torch.cat(present, dim=1)
    return torch.cat(listed, dim=1), chosen & (chosen.cumsum(dim=1) <= 1 + negatives)
