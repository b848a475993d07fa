"""What a reconstructing objective predicts, in the open, so that one set of checks can look into all of them."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from reknit.data.batch import Batch
from reknit.encoders.base import Encoder
from reknit.errors import ReknitError
from reknit.losses.binary_cross_entropy import binary_cross_entropy
from reknit.losses.cross_entropy import cross_entropy
from reknit.losses.distribution_divergence import distribution_divergence
from reknit.objectives.base import Objective, StepOutput
from reknit.world import whole_share


@dataclass(frozen=True)
class Predictions:
    """The inputs of one cross-entropy.

    states: [P, dim], ready for the product with the encoder's table. positions: [P] int64 flat positions on the batch's
    token axis whose token is predicted. targets: [P] int64 those tokens. unseen: [P] bool, True where the prediction
    must not depend on the token at all (False where BERT's recipe shows it on purpose, or where the encoder that made
    the sentence vector saw it). weight: of the loss.
    """

    states: Tensor
    positions: Tensor
    targets: Tensor
    unseen: Tensor
    weight: float = 1.0

    def loss(self, table: Tensor, bias: Tensor | None) -> tuple[Tensor, float]:
        """Weighted mean cross-entropy against `table` [V, dim] and the share of targets that had the largest logit."""
        loss, hits = cross_entropy(self.states, table, bias, self.targets)
        return self.weight * loss, whole_share(hits, self.targets.numel())


@dataclass(frozen=True)
class Decisions:
    """The inputs of one binary cross-entropy: is the token that stands here another than the text's own, or of a kind?

    states: [P] logits, above 0 for yes. positions: [P] int64 flat positions. targets: [P] bool. weight: of the loss.
    """

    states: Tensor
    positions: Tensor
    targets: Tensor
    weight: float = 1.0

    def loss(self) -> tuple[Tensor, float]:
        """Weighted mean binary cross-entropy and the share of decisions that are right."""
        loss, hits = binary_cross_entropy(self.states, self.targets)
        return self.weight * loss, whole_share(hits, self.targets.numel())


@dataclass(frozen=True)
class Distributions:
    """The inputs of one divergence between distributions over the vocabulary, a row a text.

    states: [N, dim], ready for the product with the encoder's table. positions: [N] int64, the first flat position of
    each text. targets: [N, V] float32 rows that sum to 1, or to 0 where nothing is wanted.
    """

    states: Tensor
    positions: Tensor
    targets: Tensor

    def loss(self, table: Tensor, bias: Tensor | None) -> tuple[Tensor, float]:
        """Mean divergence, and the share of the texts whose likeliest prediction is wanted."""
        loss, hits = distribution_divergence(self.states, table, bias, self.targets)
        return loss, whole_share(hits, int((self.targets.sum(dim=1) > 0).sum()))


class ReconstructionObjective(Objective):
    """An objective that predicts tokens, or decides about them, and can show what by the names of its losses."""

    @abstractmethod
    def predictions(self, encoder: Encoder, batch: Batch, rng: torch.Generator) -> dict[str, Predictions]:
        """The predictions of one step; the same draws from `rng` as `forward` makes."""

    def decisions(self, encoder: Encoder, batch: Batch, rng: torch.Generator) -> dict[str, Decisions]:
        """The decisions of one step, likewise."""
        return {}

    def distributions(self, encoder: Encoder, batch: Batch, rng: torch.Generator) -> dict[str, Distributions]:
        """The distributions of one step, likewise."""
        return {}


def losses_of(predicted: dict[str, Predictions], table: Tensor, bias: Tensor | None) -> StepOutput:
    """The loss of each of the predictions by its name, and how many targets had the largest logit."""
    losses, metrics = {}, {}
    for name, predictions in predicted.items():
        losses[name], metrics[f"{name}_accuracy"] = predictions.loss(table, bias)
    return StepOutput(losses, metrics)


def tied_vocabulary(encoder: Encoder) -> int:
    """Number of logits of a head tied to the encoder's table: its rows, padding rows without a token included.

    Raises ReknitError for a table of another width than the hidden states (factorised embeddings: ALBERT, Lan et al.
    2020; ELECTRA-small), whose product with them does not exist.
    """
    rows, width = encoder.table.shape
    if width != encoder.dim:
        raise ReknitError(
            f"this model's embedding table is {width} wide and its hidden states {encoder.dim} (factorised embeddings, "
            "as in ALBERT and ELECTRA-small), so recipes that predict tokens cannot train it; "
            "use a contrastive one: simcse, mirror-bert or infonce-pairs"
        )
    return rows
