"""What a reconstructing objective predicts, in the open, so that one set of checks can look into all of them."""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from reknit.collectives import gathered_rows, whole_share
from reknit.corruptions.masking import ordinary_ids
from reknit.data.batch import Batch, View, Vocabulary
from reknit.encoders.base import Encoder, TokenEncoder, token_encoder
from reknit.errors import ReknitError
from reknit.losses.binary_cross_entropy import binary_cross_entropy
from reknit.losses.cross_entropy import cross_entropy
from reknit.losses.distribution_divergence import distribution_divergence
from reknit.losses.matching import matching
from reknit.objectives.base import Objective, StepOutput


@dataclass(frozen=True)
class Choices:
    """The output vocabulary of an n-gram prediction: each entry is a sequence of n tokens.

    table: [C, dim]. bias: [C]. tokens: [C, n] int64, the tokens that each choice stands for, -1 for none.
    """

    table: Tensor
    bias: Tensor
    tokens: Tensor


@dataclass(frozen=True)
class Predictions:
    """The inputs of one cross-entropy.

    states: [P, dim], ready for the product with the encoder's table. positions: [P] int64 flat positions on the batch's
    token axis whose token is predicted. targets: [P] int64 those tokens. unseen: [P] bool, True where the prediction
    must not depend on the token at all (False where BERT's recipe shows it on purpose, or where the encoder that made
    the sentence vector saw it). weight: of the loss. choices: not None where sequences of n tokens that begin at the
    positions are predicted whole; `targets` then are numbers of choices, and the states meet the choices' own table.
    """

    states: Tensor
    positions: Tensor
    targets: Tensor
    unseen: Tensor
    weight: float = 1.0
    choices: Choices | None = None

    def loss(self, table: Tensor, bias: Tensor | None) -> tuple[Tensor, float]:
        """Weighted mean cross-entropy against `table` [V, dim] and the share of targets that had the largest logit."""
        if self.choices is not None:
            table, bias = self.choices.table, self.choices.bias
        loss, hits = cross_entropy(self.states, table, bias, self.targets)
        return self.weight * loss, whole_share(hits, self.targets.numel())

    def floor(self, vocabulary: Vocabulary) -> float | str:
        """The lowest possible mean loss on texts of random tokens, where each unseen token is any ordinary one with
        equal probability (see `Objective.floors`)."""
        if self.choices is not None:
            return "what shows that a known sequence of tokens is here shows that it is none of the others"
        unseen = float(self.unseen.float().mean()) if self.unseen.numel() else 0.0
        return self.weight * unseen * token_entropy(vocabulary)


@dataclass(frozen=True)
class Decisions:
    """The inputs of one binary classification of each token: was it replaced, or is it of a tagged kind?

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

    def floor(self) -> float:
        """The loss where nothing tells for which of the tokens the answer is yes (see `Objective.floors`)."""
        yes = float(self.targets.float().mean()) if self.targets.numel() else 0.0
        return -self.weight * sum(share * math.log(share) for share in (yes, 1.0 - yes) if share)


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


@dataclass(frozen=True)
class Matches:
    """The inputs of one choice among vectors: which of all masked vectors of the batch belongs to this gap?

    There is no vocabulary of vectors, so the choices are the masked vectors of the batch itself: blocks of text
    (SMITH), or stretches of speech or patches of an image.

    states: [M, dim] what a gap's surroundings say of it. targets: [M, dim] row i is what is hidden in gap i; the other
    rows are wrong for it. Both are ready for the product. positions: [M] int64, the flat position on the batch's token
    axis of the first token of what is hidden. weight: of the loss. first, total: where several processes divide a
    step, these rows are those from `first` on of the `total` of all; None where it is not divided. unseen: False where
    nothing is hidden, as state and target are two readings of the very same text (SimCSE).
    """

    states: Tensor
    targets: Tensor
    positions: Tensor
    weight: float = 1.0
    first: int = 0
    total: int | None = None
    unseen: bool = True

    def loss(self) -> tuple[Tensor, float]:
        """Weighted mean cross-entropy of the right choices, and the share of them with the largest score.

        Each gap chooses among the vectors of all processes, so both sides are gathered and every process computes the
        same loss (see `reknit.collectives`).
        """
        states, targets = self.states, self.targets
        if self.total is not None:
            states, targets = (gathered_rows(rows, self.first, self.total) for rows in (states, targets))
        loss, hits = matching(states, targets)
        return self.weight * loss, int(hits) / max(len(targets), 1)


class ReconstructionObjective(Objective[TokenEncoder]):
    """An objective that predicts masked tokens, or classifies tokens, and can show these predictions by the names of
    its losses."""

    @abstractmethod
    def predictions(self, encoder: TokenEncoder, batch: Batch, rng: torch.Generator) -> dict[str, Predictions]:
        """The predictions of one step; the same draws from `rng` as `forward` makes."""

    def decisions(self, encoder: TokenEncoder, batch: Batch, rng: torch.Generator) -> dict[str, Decisions]:
        """The binary decisions of one step; the random numbers are those of `predictions`."""
        return {}

    def distributions(self, encoder: TokenEncoder, batch: Batch, rng: torch.Generator) -> dict[str, Distributions]:
        """The distributions of one step; the random numbers are those of `predictions`."""
        return {}

    def matches(self, encoder: TokenEncoder, batch: Batch, rng: torch.Generator) -> dict[str, Matches]:
        """The choices among vectors of one step; the random numbers are those of `predictions`."""
        return {}

    def floors(self, encoder: TokenEncoder, batch: Batch, rng: torch.Generator) -> dict[str, float | str]:
        """Those of what it shows; a subclass adds its other losses, and says where it knows better."""
        found: dict[str, float | str] = {}
        for name, predicted in self.predictions(encoder, batch, rng.clone_state()).items():
            found[name] = predicted.floor(batch.vocabulary)
        for name, decided in self.decisions(encoder, batch, rng.clone_state()).items():
            found[name] = decided.floor()
        for name in self.distributions(encoder, batch, rng.clone_state()):
            found[name] = "the vector of a text can tell the tokens of the text"
        for name in self.matches(encoder, batch, rng.clone_state()):
            found[name] = "length and place, or the text itself, tell which vector belongs where"
        return found


def token_entropy(vocabulary: Vocabulary) -> float:
    """Entropy in nats of a token that is any ordinary one with equal probability."""
    return math.log(len(ordinary_ids(vocabulary)))


def predicted_in_place(view: View, states: Tensor, head: nn.Module, weight: float = 1.0) -> Predictions:
    """What a view asks for, each token read from the state at its own place. states: [T, dim], before the head."""
    places = view.predict.nonzero().squeeze(1)
    return Predictions(head(states[places]), places, view.targets[places], view.masked[places], weight)


def predicted_from_before(view: View, states: Tensor, head: nn.Module, weight: float = 1.0) -> Predictions:
    """What a view under causal attention asks for, each token read from the state before it, which cannot know it."""
    places = view.predict.nonzero().squeeze(1)
    unseen = torch.ones_like(places, dtype=torch.bool)
    return Predictions(head(states[places - 1]), places, view.targets[places], unseen, weight)


def losses_of(predicted: dict[str, Predictions], table: Tensor, bias: Tensor | None) -> StepOutput:
    """The loss of each of the predictions by its name, and how many targets had the largest logit."""
    losses, metrics = {}, {}
    for name, predictions in predicted.items():
        losses[name], metrics[f"{name}_accuracy"] = predictions.loss(table, bias)
    return StepOutput(losses, metrics)


def tied_vocabulary(encoder: Encoder) -> int:
    """Number of logits of a head tied to the encoder's table: its rows, padding rows without a token included.

    Raises ReknitError for an encoder of something else than tokens, and a table of another width than the hidden states
    (factorised embeddings: ALBERT, Lan et al. 2020; ELECTRA-small), whose product with them does not exist.
    """
    rows, width = token_encoder(encoder).table.shape
    if width != encoder.dim:
        raise ReknitError(
            f"this model's embedding table is {width} wide and its hidden states {encoder.dim} (factorised embeddings, "
            "as in ALBERT and ELECTRA-small), so recipes that predict tokens cannot train it; "
            "use a contrastive one: simcse, mirror-bert or infonce-pairs"
        )
    return rows
