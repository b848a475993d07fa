"""Identifier-aware denoising: source code is written again, its identifiers are found and guessed (CodeT5)."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar

import torch

from reknit.corruptions.identifier_masking import mask_identifiers
from reknit.corruptions.masking import ordinary_tokens
from reknit.corruptions.noising import noised
from reknit.corruptions.span_token_masking import tags_of
from reknit.data.batch import Batch, View, Vocabulary
from reknit.decoders.detection_head import DetectionHead
from reknit.decoders.language_model_head import TiedBias
from reknit.decoders.text_decoder import TextDecoder
from reknit.encoders.base import Encoder, TokenEncoder, token_encoder
from reknit.errors import ReknitError
from reknit.objectives.base import StepOutput
from reknit.objectives.denoising import written_text
from reknit.objectives.drawn_tasks import DrawnTasksSpec
from reknit.objectives.predictions import Decisions, Predictions, ReconstructionObjective, losses_of, tied_vocabulary
from reknit.ranges import (
    FractionBelowOne,
    InnerFraction,
    NonNegativeFloat,
    PositiveFloat,
    PositiveFraction,
    PositiveInt,
)


@dataclass(frozen=True)
class IdentifierAwareSpec(DrawnTasksSpec):
    """Settings of CodeT5 (Wang et al. 2021): each step trains one of three tasks, drawn at random."""

    every_task: ClassVar[tuple[str, ...]] = ("denoised", "tagging", "identifiers")

    ratio: InnerFraction = 0.15
    """Fraction of a text's tokens that are masked in spans, in the task "denoised"."""
    mean_span: PositiveFloat = 3.0
    """Mean length in tokens of the spans that the task "denoised" masks, drawn from a Poisson distribution."""
    identifier_share: PositiveFraction = 0.5
    """Fraction of a text's identifiers that are masked with all their occurrences, in the task "identifiers"; at least
    one.
    """
    denoised_weight: NonNegativeFloat = 1.0
    """Factor of the loss of writing a text again of which spans are masked; 0 leaves the task out."""
    tagging_weight: NonNegativeFloat = 1.0
    """Factor of the loss of finding the tokens that belong to identifiers; 0 leaves the task out."""
    identifiers_weight: NonNegativeFloat = 1.0
    """Factor of the loss of writing a text again of which identifiers are masked; 0 leaves the task out."""
    layers: PositiveInt | None = None
    """Layers of the decoder; None for the encoder's number."""
    max_positions: PositiveInt = 512
    """Longest text in tokens that the decoder has positions for."""
    dropout: FractionBelowOne = 0.1
    """Probability that an activation or attention weight of the decoder is set to 0 in training."""

    def __post_init__(self) -> None:
        if self.layers is not None and self.layers < 1:
            raise ReknitError(f"layers is {self.layers}; it must be 1 or more")
        super().__post_init__()

    def build(self, encoder: Encoder, vocabulary: Vocabulary, pooling: str) -> IdentifierAware:
        return IdentifierAware(self, token_encoder(encoder))


class IdentifierAware(ReconstructionObjective):
    """One task in each step, all equally likely; the loss has its name.

    "denoised": spans of the text are masked, and the decoder writes the text. "tagging": the encoder's state says of
    each token of the clean text whether it belongs to an identifier. "identifiers": all occurrences of some identifiers
    are masked, and the decoder writes the text.
    """

    visible = MappingProxyType({"tagging": "the tags are no part of what the encoder sees"})

    def __init__(self, spec: IdentifierAwareSpec, encoder: TokenEncoder) -> None:
        super().__init__()
        self.spec = spec
        self.head = TiedBias(tied_vocabulary(encoder))
        self.decoder = TextDecoder(
            encoder.dim, spec.layers or encoder.depth, max_positions=spec.max_positions, dropout=spec.dropout
        )
        self.detection = DetectionHead(encoder.dim)

    def stage_of(self, rng: torch.Generator) -> str:
        return self.spec.drawn(rng)

    def predictions(self, encoder: TokenEncoder, batch: Batch, rng: torch.Generator) -> dict[str, Predictions]:
        task = self.stage_of(rng)
        return {} if task == "tagging" else {task: self._written(task, encoder, batch, rng)}

    def decisions(self, encoder: TokenEncoder, batch: Batch, rng: torch.Generator) -> dict[str, Decisions]:
        return {"tagging": self._found(encoder, batch)} if self.stage_of(rng) == "tagging" else {}

    def forward(self, encoder: TokenEncoder, batch: Batch, rng: torch.Generator) -> StepOutput:
        task = self.stage_of(rng)
        if task == "tagging":
            loss, accuracy = self._found(encoder, batch).loss()
            return StepOutput({task: loss}, {f"{task}_accuracy": accuracy})
        return losses_of({task: self._written(task, encoder, batch, rng)}, encoder.table, self.head.bias)

    def _written(self, task: str, encoder: TokenEncoder, batch: Batch, rng: torch.Generator) -> Predictions:
        spec = self.spec
        if task == "identifiers":
            view, unseen = mask_identifiers(batch, rng, share=spec.identifier_share)
        else:
            view, unseen = noised(batch, rng, ratio=spec.ratio, mean_span=spec.mean_span, permute_sentences=False)
        encoded = encoder(view)
        weight = spec.weight(task)
        return written_text(self.decoder, batch, encoder.table, encoded.last, encoded.cu_seqlens, unseen, weight)

    def _found(self, encoder: TokenEncoder, batch: Batch) -> Decisions:
        places = ordinary_tokens(batch).nonzero().squeeze(1)
        states = encoder(View.clean(batch)).last[places]
        return Decisions(self.detection(states), places, tags_of(batch)[places] >= 0, self.spec.weight("tagging"))
