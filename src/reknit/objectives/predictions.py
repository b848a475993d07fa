"""What a reconstructing objective predicts, in the open, so that one set of checks can look into all of them."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from reknit.data.batch import Batch
from reknit.encoders.base import Encoder
from reknit.errors import ReknitError
from reknit.losses.cross_entropy import cross_entropy
from reknit.objectives.base import Objective
from reknit.world import whole_share


@dataclass(frozen=True)
class Predictions:
    """The inputs of one cross-entropy.

    states: [P, dim], ready for the product with the encoder's table. positions: [P] int64 flat positions on the batch's
    token axis whose token is predicted. targets: [P] int64 those tokens. unseen: [P] bool, True where the prediction
    must not depend on the token at all (False where BERT's recipe shows it on purpose, or where the encoder that made
    the sentence vector saw it).
    """

    states: Tensor
    positions: Tensor
    targets: Tensor
    unseen: Tensor

    def loss(self, table: Tensor, bias: Tensor | None) -> tuple[Tensor, float]:
        """Mean cross-entropy against `table` [V, dim] and the share of targets that had the largest logit."""
        loss, hits = cross_entropy(self.states, table, bias, self.targets)
        return loss, whole_share(hits, self.targets.numel())


class ReconstructionObjective(Objective):
    """An objective that predicts tokens and can show its predictions by the name of their loss."""

    @abstractmethod
    def predictions(self, encoder: Encoder, batch: Batch, rng: torch.Generator) -> dict[str, Predictions]:
        """The predictions of one step; the same draws from `rng` as `forward` makes."""


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
