"""One transformer used in three ways: in both directions, from left to right, as encoder and decoder (UniXcoder)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import ClassVar

import torch
from torch.nn import functional

from reknit.corruptions.next_token import predict_next
from reknit.corruptions.rewriting import damaged_then_clean
from reknit.data.attention_rules import AttentionRule, PrefixThenCausal
from reknit.data.batch import Batch, View, Vocabulary
from reknit.decoders.language_model_head import LanguageModelHead
from reknit.encoders.base import Encoder, TokenEncoder
from reknit.encoders.pooling import pool
from reknit.errors import ReknitError
from reknit.objectives.base import StepOutput, TextLikelihood
from reknit.objectives.drawn_tasks import DrawnTasksSpec
from reknit.objectives.likelihood import causal_log_likelihood
from reknit.objectives.masked_language_model import MaskedLanguageModelSpec
from reknit.objectives.predictions import (
    Matches,
    Predictions,
    ReconstructionObjective,
    losses_of,
    predicted_from_before,
    predicted_in_place,
    tied_vocabulary,
)
from reknit.ranges import InnerFraction, NonNegativeFloat, PositiveFloat


@dataclass(frozen=True)
class UnifiedModesSpec(DrawnTasksSpec):
    """Settings of UniXcoder (Guo et al. 2022): each step trains one of four tasks, drawn at random."""

    every_task: ClassVar[tuple[str, ...]] = ("masked", "causal", "denoised", "contrastive")

    masked: MaskedLanguageModelSpec = field(default_factory=MaskedLanguageModelSpec)
    """How tokens are masked in the task "masked", where attention is bidirectional."""
    ratio: InnerFraction = 0.15
    """Fraction of a text's tokens that are masked in spans, in the task "denoised"."""
    mean_span: PositiveFloat = 5.0
    """Mean length in tokens of the spans that the task "denoised" masks, drawn from a Poisson distribution."""
    temperature: PositiveFloat = 0.05
    """Divides the cosine similarities of the task "contrastive"; a smaller value puts more weight on the hardest
    negatives.
    """
    masked_weight: NonNegativeFloat = 1.0
    """Factor of the loss of masked language modelling; 0 leaves the task out."""
    causal_weight: NonNegativeFloat = 1.0
    """Factor of the loss of causal language modelling; 0 leaves the task out."""
    denoised_weight: NonNegativeFloat = 1.0
    """Factor of the loss of writing a text again of which spans are masked; 0 leaves the task out."""
    contrastive_weight: NonNegativeFloat = 1.0
    """Factor of the loss of finding a text by its own second vector, made with other dropout; 0 leaves the task out."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.temperature <= 0.0:
            raise ReknitError(f"the temperature is {self.temperature}; it must be above 0")
        if self.masked.read_before:
            raise ReknitError(
                "this recipe predicts masked tokens at their own positions: set objective.masked.read_before=false"
            )

    def rules(self) -> tuple[AttentionRule, ...]:
        return (PrefixThenCausal(torch.zeros(0, dtype=torch.bool)),) if self.denoised_weight else ()

    def build(self, encoder: Encoder, vocabulary: Vocabulary, pooling: str) -> UnifiedModes:
        return UnifiedModes(self, encoder.dim, tied_vocabulary(encoder), pooling)


class UnifiedModes(ReconstructionObjective):
    """One task in each step, all equally likely; the loss has its name. All share one encoder and one head.

    "masked": masked tokens, attention in both directions. "causal": each token from what came before it. "denoised":
    the damaged text is read in both directions, and behind it the clean one is written from left to right. Texts of
    which both do not fit into the encoder's positions are cut for it. "contrastive": each text is embedded twice, as
    the exported model does but with dropout, and finds itself among the texts of the batch (SimCSE, Gao et al. 2021);
    an encoder without dropout learns no more from it than to keep different texts apart.
    """

    spec: UnifiedModesSpec
    vector_losses = frozenset({"contrastive"})

    def __init__(self, spec: UnifiedModesSpec, dim: int, vocabulary: int, pooling: str) -> None:
        super().__init__()
        self.spec, self.pooling = spec, pooling
        self.head = LanguageModelHead(dim, vocabulary)

    @property
    def left_to_right(self) -> bool:
        return self.spec.tasks == ["causal"]

    def stage_of(self, rng: torch.Generator) -> str:
        return self.spec.drawn(rng)

    def predictions(self, encoder: TokenEncoder, batch: Batch, rng: torch.Generator) -> dict[str, Predictions]:
        task = self.stage_of(rng)
        return {} if task == "contrastive" else {task: self._predicted(task, encoder, batch, rng)}

    def matches(self, encoder: TokenEncoder, batch: Batch, rng: torch.Generator) -> dict[str, Matches]:
        task = self.stage_of(rng)
        return {task: self._matched(encoder, batch)} if task == "contrastive" else {}

    def forward(self, encoder: TokenEncoder, batch: Batch, rng: torch.Generator) -> StepOutput:
        task = self.stage_of(rng)
        if task == "contrastive":
            loss, accuracy = self._matched(encoder, batch).loss()
            return StepOutput({task: loss}, {f"{task}_accuracy": accuracy})
        return losses_of({task: self._predicted(task, encoder, batch, rng)}, encoder.table, self.head.bias)

    def log_likelihood(self, encoder: TokenEncoder, batch: Batch) -> TextLikelihood | None:
        # Without that task it has never read from left to right alone.
        return causal_log_likelihood(encoder, self.head, batch) if self.spec.causal_weight else None

    def _predicted(self, task: str, encoder: TokenEncoder, batch: Batch, rng: torch.Generator) -> Predictions:
        spec, weight = self.spec, self.spec.weight(task)
        if task == "masked":
            view = spec.masked.corrupt(batch, rng)
            return predicted_in_place(view, encoder(view).last, self.head, weight)
        if task == "causal":
            view = predict_next(batch, rng)
            return predicted_from_before(view, encoder(view).last, self.head, weight)
        limit = getattr(encoder, "max_positions", None)
        made = damaged_then_clean(batch, rng, ratio=spec.ratio, mean_span=spec.mean_span, limit=limit)
        written = predicted_from_before(made.view, encoder(made.view).last, self.head, weight)
        rows = written.positions
        return replace(written, positions=made.places[rows], unseen=made.unseen[rows])

    def _matched(self, encoder: TokenEncoder, batch: Batch) -> Matches:
        """InfoNCE as the choice of each text's second vector by its first, [N, dim] both."""
        # Each side takes the root of the temperature, so that their product is the cosine divided by it.
        states, targets = (
            functional.normalize(pool(encoder(View.clean(batch)), self.pooling).float(), dim=-1)
            / self.spec.temperature**0.5
            for _ in range(2)
        )
        first, total = (0, None) if batch.shard is None else (batch.shard.first, batch.whole.num_sequences)
        weight = self.spec.contrastive_weight
        return Matches(states, targets, batch.cu_seqlens[:-1], weight, first, total, unseen=False)
