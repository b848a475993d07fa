"""Replaced-token detection: which tokens are not the text's own (ELECTRA; RTS without a generator)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor, nn

from reknit.corruptions.masking import mask_tokens, ordinary_ids, ordinary_tokens
from reknit.data.batch import Batch, View, Vocabulary
from reknit.decoders.detection_head import DetectionHead
from reknit.decoders.generator import Generator
from reknit.encoders.base import Encoder, TokenEncoder, token_encoder
from reknit.errors import ReknitError
from reknit.objectives.base import ObjectiveSpec, StepOutput
from reknit.objectives.draws import SAMPLED_TOKEN, draw_seed, token_draws
from reknit.objectives.predictions import Decisions, Predictions, ReconstructionObjective
from reknit.objectives.sampling import sampled_tokens
from reknit.ranges import Fraction, FractionBelowOne, NonNegativeFloat, PositiveFraction, PositiveInt


@dataclass(frozen=True)
class RandomTokenDetectionSpec(ObjectiveSpec):
    """Settings of the detection of random tokens (RTS, Di Liello 2023)."""

    ratio: PositiveFraction = 0.15
    """Fraction of each text's ordinary tokens that become random ones, at least one token."""
    weight: NonNegativeFloat = 1.0
    """Factor of the detection loss."""

    def build(self, encoder: Encoder, vocabulary: Vocabulary, pooling: str) -> RandomTokenDetection:
        return RandomTokenDetection(self, encoder.dim)


class RandomTokenDetection(ReconstructionObjective):
    """Loss "detection": was this token replaced by a random one? Asked of every ordinary token."""

    def __init__(self, spec: RandomTokenDetectionSpec, dim: int) -> None:
        super().__init__()
        self.spec = spec
        self.detection = DetectionHead(dim)

    def predictions(self, encoder: TokenEncoder, batch: Batch, rng: torch.Generator) -> dict[str, Predictions]:
        return {}

    def decisions(self, encoder: TokenEncoder, batch: Batch, rng: torch.Generator) -> dict[str, Decisions]:
        view = mask_tokens(batch, rng, ratio=self.spec.ratio, random_share=1.0, keep_share=0.0)
        return {"detection": decide(self.detection, encoder, view, ordinary_tokens(batch), self.spec.weight)}

    def forward(self, encoder: TokenEncoder, batch: Batch, rng: torch.Generator) -> StepOutput:
        loss, accuracy = self.decisions(encoder, batch, rng)["detection"].loss()
        return StepOutput({"detection": loss}, {"detection_accuracy": accuracy})


@dataclass(frozen=True)
class ReplacedTokenDetectionSpec(ObjectiveSpec):
    """Settings of ELECTRA (Clark et al. 2020) and DeBERTa v3 (He et al. 2021)."""

    ratio: PositiveFraction = 0.15
    """Fraction of each text's ordinary tokens that the generator predicts and fills in, at least one token."""
    keep_share: Fraction = 0.15
    """Fraction of the tokens predicted by the generator that stay as they are in what it reads; the others become the
    mask token.
    """
    generator_width: PositiveFraction = 0.25
    """Width of the generator as a fraction of the encoder's width."""
    generator_depth: PositiveInt | None = None
    """Layers of the generator; None for the encoder's number."""
    detection_weight: NonNegativeFloat = 50.0
    """Weight of detecting replaced tokens, beside 1 for the generator's loss."""
    decided: Literal["all", "masked"] = "all"
    """Tokens of which the encoder decides whether they were replaced: "all" ordinary ones, or only the "masked" ones
    that the generator predicts (ELECTRA 15% of the paper).
    """
    embeddings: Literal["shared", "disentangled"] = "shared"
    """Token table of the generator: "shared" with the encoder, or "disentangled": the encoder's table follows the
    generator's, but what the encoder learns does not reach the generator (gradient-disentangled sharing, DeBERTa v3).
    """
    max_positions: PositiveInt = 512
    """Longest text in tokens that the generator has positions for."""
    dropout: FractionBelowOne = 0.1
    """Probability that an activation or attention weight of the generator is set to 0 in training."""

    def __post_init__(self) -> None:
        if not 0.0 < self.generator_width <= 1.0:
            raise ReknitError(f"generator_width is {self.generator_width}; it must be above 0 and at most 1")
        if self.generator_depth is not None and self.generator_depth < 1:
            raise ReknitError(f"generator_depth is {self.generator_depth}; a generator has one layer at least")

    def build(self, encoder: Encoder, vocabulary: Vocabulary, pooling: str) -> ReplacedTokenDetection:
        return ReplacedTokenDetection(self, token_encoder(encoder))


class ReplacedTokenDetection(ReconstructionObjective):
    """Losses "generator" (masked language modelling by a small model) and "detection" (what did it fill in?).

    A token is a replacement only where the generator's differs from the text's. No gradient goes through the sample.
    """

    auxiliary = frozenset({"generator"})

    def __init__(self, spec: ReplacedTokenDetectionSpec, encoder: TokenEncoder) -> None:
        super().__init__()
        self.spec = spec
        rows, width = encoder.table.shape
        dim = max(8, round(encoder.dim * spec.generator_width / 8) * 8)
        depth = encoder.depth if spec.generator_depth is None else spec.generator_depth
        self.generator = Generator(width, dim, depth, rows, max_positions=spec.max_positions, dropout=spec.dropout)
        self.detection = DetectionHead(encoder.dim)
        if spec.embeddings == "disentangled":
            self.untrained = {"followed": "step"}
            self.table = nn.Parameter(encoder.table.detach().clone())
            # A parameter, so that processes that train in slices slice it like the table.
            self.followed = nn.Parameter(self.table.detach().clone(), requires_grad=False)

    @property
    def head(self) -> nn.Module:
        """Of the generator: what its predictions are made by."""
        return self.generator.head

    def prediction_table(self, encoder: TokenEncoder) -> Tensor:
        """[V, width] the table that the generator reads and predicts by."""
        return encoder.table if self.spec.embeddings == "shared" else self.table

    def predictions(self, encoder: TokenEncoder, batch: Batch, rng: torch.Generator) -> dict[str, Predictions]:
        return {"generator": self._fill(encoder, batch, rng)[0]}

    def decisions(self, encoder: TokenEncoder, batch: Batch, rng: torch.Generator) -> dict[str, Decisions]:
        return {"detection": self._decisions(encoder, batch, self._fill(encoder, batch, rng)[1])}

    def floors(self, encoder: TokenEncoder, batch: Batch, rng: torch.Generator) -> dict[str, float | str]:
        detection = "a generator's tokens can be told from the text's own until it finds all equally likely"
        return super().floors(encoder, batch, rng) | {"detection": detection}

    def forward(self, encoder: TokenEncoder, batch: Batch, rng: torch.Generator) -> StepOutput:
        filled, view = self._fill(encoder, batch, rng)
        generator, generator_accuracy = filled.loss(self.prediction_table(encoder), self.generator.head.bias)
        detection, accuracy = self._decisions(encoder, batch, view).loss()
        metrics = {"generator_accuracy": generator_accuracy, "detection_accuracy": accuracy}
        return StepOutput({"generator": generator, "detection": detection}, metrics)

    @torch.no_grad()
    def after_step(self, encoder: TokenEncoder, progress: float) -> None:
        if self.spec.embeddings == "disentangled":
            # The encoder's table is the generator's plus what the encoder has learnt itself.
            encoder.table.add_(self.table - self.followed)
            self.followed.copy_(self.table)

    def _fill(self, encoder: TokenEncoder, batch: Batch, rng: torch.Generator) -> tuple[Predictions, View]:
        """The generator's predictions, and the text with its samples in place."""
        spec, table, seed = self.spec, self.prediction_table(encoder), draw_seed(rng)
        masked = mask_tokens(batch, rng, ratio=spec.ratio, random_share=0.0, keep_share=spec.keep_share)
        draws = token_draws(batch, seed, SAMPLED_TOKEN)
        places = masked.predict.nonzero().squeeze(1)
        states = self.generator.head(self.generator(masked, table)[places])
        allowed = ordinary_ids(batch.vocabulary).to(batch.tokens.device)
        tokens = batch.tokens.clone()
        tokens[places] = sampled_tokens(states, table, self.generator.head.bias, draws[places], allowed)
        predicted = Predictions(states, places, batch.tokens[places], masked.masked[places])
        return predicted, replace(masked, tokens=tokens, masked=torch.zeros_like(masked.masked))

    def _decisions(self, encoder: TokenEncoder, batch: Batch, view: View) -> Decisions:
        asked = view.predict if self.spec.decided == "masked" else ordinary_tokens(batch)
        return decide(self.detection, encoder, view, asked, self.spec.detection_weight)


def decide(head: DetectionHead, encoder: TokenEncoder, view: View, asked: Tensor, weight: float) -> Decisions:
    """Which of the tokens `asked` about ([T] bool) are not the text's own."""
    places = asked.nonzero().squeeze(1)
    replaced = view.tokens[places] != view.targets[places]
    return Decisions(head(encoder(view).last[places]), places, replaced, weight)
