"""Causal language modelling: each token from what came before it (Bengio et al. 2003; Radford et al. 2018)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from reknit.corruptions.next_token import predict_next
from reknit.data.batch import Batch, Vocabulary, segments_of
from reknit.decoders.language_model_head import LanguageModelHead
from reknit.encoders.base import Encoder, TokenEncoder
from reknit.errors import ReknitError
from reknit.losses.cross_entropy import token_losses
from reknit.objectives.base import FollowsProgress, ObjectiveSpec, StepOutput, TextLikelihood, of_whole_batch
from reknit.objectives.likelihood import causal_log_likelihood
from reknit.objectives.predictions import (
    Predictions,
    ReconstructionObjective,
    losses_of,
    predicted_from_before,
    tied_vocabulary,
)
from reknit.ranges import Fraction, PositiveFloat


@dataclass(frozen=True)
class CausalLanguageModelSpec(ObjectiveSpec):
    """Every ordinary token but a sequence's first token is predicted from its left context."""

    masked_share: Fraction = 0.0
    """Fraction of the tokens that later tokens cannot see, a mask token standing in their place (MEAP: 0.15)."""

    def build(self, encoder: Encoder, vocabulary: Vocabulary, pooling: str) -> CausalLanguageModel:
        return CausalLanguageModel(self, encoder.dim, tied_vocabulary(encoder))


class CausalLanguageModel(ReconstructionObjective):
    """Loss "causal": cross-entropy of each token, from the hidden state before it, under causal attention."""

    def __init__(self, spec: CausalLanguageModelSpec, dim: int, vocabulary: int) -> None:
        super().__init__()
        self.spec = spec
        self.head = LanguageModelHead(dim, vocabulary)

    @property
    def left_to_right(self) -> bool:
        return True

    def predictions(self, encoder: TokenEncoder, batch: Batch, rng: torch.Generator) -> dict[str, Predictions]:
        view = predict_next(batch, rng, masked_share=self.spec.masked_share)
        return {"causal": predicted_from_before(view, encoder(view).last, self.head)}

    def log_likelihood(self, encoder: TokenEncoder, batch: Batch) -> TextLikelihood:
        return causal_log_likelihood(encoder, self.head, batch)

    def forward(self, encoder: TokenEncoder, batch: Batch, rng: torch.Generator) -> StepOutput:
        return losses_of(self.predictions(encoder, batch, rng), encoder.table, self.head.bias)


@dataclass(frozen=True)
class ReweightedLanguageModelSpec(CausalLanguageModelSpec):
    """Causal language modelling with a weight for each text of a batch, by its loss (Sow et al. 2025)."""

    strategy: Literal["linupper", "quadratic", "extremes"] = "linupper"
    """Which texts of a batch get a low weight: those of low loss ("linupper"), of low and high loss ("quadratic"), or
    of medium loss ("extremes").
    """
    temperature: PositiveFloat = 1.0
    """Divides the value that the strategy gives each text before the softmax over the batch; a larger value makes the
    weights more alike.
    """
    warm_up: Fraction = 0.05
    """Fraction of the budget in which all texts have nearly the same weight."""

    def __post_init__(self) -> None:
        if self.temperature <= 0.0 or not 0.0 <= self.warm_up <= 1.0:
            raise ReknitError("objective.temperature must be above 0 and objective.warm_up between 0 and 1")

    def build(self, encoder: Encoder, vocabulary: Vocabulary, pooling: str) -> ReweightedLanguageModel:
        return ReweightedLanguageModel(self, encoder.dim, tied_vocabulary(encoder))


class ReweightedLanguageModel(CausalLanguageModel, FollowsProgress[TokenEncoder]):
    """Loss "causal": the mean of the texts' mean cross-entropies, weighted by them (Sow et al. 2025)."""

    spec: ReweightedLanguageModelSpec

    def forward(self, encoder: TokenEncoder, batch: Batch, rng: torch.Generator) -> StepOutput:
        made = self.predictions(encoder, batch, rng)["causal"]
        losses = token_losses(made.states, encoder.table, self.head.bias, made.targets)
        texts = segments_of(batch.cu_seqlens)[made.positions]
        sums = losses.new_zeros(batch.num_sequences, 2)
        sums = sums.index_add(0, texts, torch.stack((losses, torch.ones_like(losses)), dim=1))
        # From all processes: a softmax over this shard's texts alone would give other weights.
        total, count = of_whole_batch(sums, batch).unbind(dim=1)
        means = total[count > 0] / count[count > 0]
        temperature = 100.0 if float(self.progress) < self.spec.warm_up else self.spec.temperature
        return StepOutput({"causal": (loss_weights(means, self.spec.strategy, temperature) * means).sum()})


def loss_weights(losses: Tensor, strategy: str, temperature: float) -> Tensor:
    """[N] losses of all texts -> [N] weights that sum to 1, without gradient: a softmax of what each is worth."""
    losses = losses.detach()
    low, high = losses.aminmax() if losses.numel() else (losses, losses)
    place = (2.0 * losses - high - low) / (high - low).clamp(min=1e-6)  # from -1 to 1
    worth = {"linupper": (place + 1.0).clamp(max=1.0), "quadratic": 1.0 - place**2, "extremes": place.abs()}
    return functional.softmax(worth[strategy] / temperature, dim=0)
