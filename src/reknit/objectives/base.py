"""What a training objective is: encoder, batch and random generator in; named losses out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import ClassVar, Generic, TypeVar

import torch
from torch import Tensor, nn

from reknit.collectives import gathered_rows
from reknit.data.batch import Batch, Vocabulary
from reknit.encoders.base import Encoder
from reknit.objectives.companions import Companions

EncoderT = TypeVar("EncoderT", bound=Encoder, contravariant=True)
"""The encoders that an objective can train: any, or those of tokens."""


@dataclass(frozen=True)
class StepOutput:
    """Losses of one step by name, each a scalar that already carries its weight; their sum is what is minimised."""

    losses: dict[str, Tensor]
    metrics: dict[str, float] = field(default_factory=dict)

    @property
    def total(self) -> Tensor:
        return torch.stack(list(self.losses.values())).sum()


@dataclass(frozen=True)
class TextLikelihood:
    """How likely a language model finds texts.

    logs: [N] natural logarithms, each a sum over tokens of its text. tokens: [N] over how many. causal: whether each
    token was asked for given those before it (log p of the text); else given all others (pseudo-log-likelihood).
    """

    logs: Tensor
    tokens: Tensor
    causal: bool


class Objective(nn.Module, ABC, Generic[EncoderT]):
    """Owns all that is needed for training only: decoders, heads, generators, teachers.

    auxiliary: names of the losses that train such a part and not the encoder's blocks (a generator's). partial: of
    those that need not reach its last blocks. companions: what `meet` was given.
    """

    auxiliary: ClassVar[frozenset[str]] = frozenset()
    partial: frozenset[str] = frozenset()
    companions: Companions

    def __init__(self) -> None:
        super().__init__()
        self.companions = Companions()

    def meet(self, companions: Companions) -> None:
        """Learn beside these frozen models, which its settings named (`ObjectiveSpec.companions`)."""
        self.companions = companions

    @property
    def stage(self) -> str:
        """Names the part of a schedule that the training is in; FLOPs of a token are counted anew in each."""
        return ""

    def stage_of(self, rng: torch.Generator) -> str:
        """The stage of one step, where chance decides what a step computes; `rng` is as `forward` will be given it."""
        return self.stage

    @abstractmethod
    def forward(self, encoder: EncoderT, batch: Batch, rng: torch.Generator) -> StepOutput:
        """One training step's losses. `rng` is a CPU generator, the only source of the corruption's chance.

        Where several processes divide a step, `batch` is this one's share and `rng` the same on all of them: a draw is
        made for `batch.whole`, as every corruption does (`data/shard.py`), and each loss is the mean over all of them
        (`reknit.collectives`), as the functions in `losses` are.
        """

    def log_likelihood(self, encoder: EncoderT, batch: Batch) -> TextLikelihood | None:
        """How likely each text is, where the objective trains a language model; else None. Without gradients."""
        return None

    def after_step(self, encoder: EncoderT, progress: float) -> None:
        """Called after each optimiser step (moving-average teachers); `progress` is the spent share of the budget."""


class FollowsProgress(Objective[EncoderT]):
    """An objective that changes with the spent share of the budget, from 0 to 1.

    `progress` is a buffer, so that a resumed run goes on where it was.
    """

    progress: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("progress", torch.zeros(()))

    def after_step(self, encoder: EncoderT, progress: float) -> None:
        self.progress.fill_(progress)


class EmbeddingObjective(Objective[EncoderT]):
    """An objective on one vector per sequence, split so that nesting, gradient caching and gathering patch nothing."""

    @abstractmethod
    def embed(self, encoder: EncoderT, batch: Batch, rng: torch.Generator) -> Tensor:
        """[N, dim] one vector per sequence of the batch."""

    @abstractmethod
    def score(self, embeddings: Tensor, batch: Batch) -> StepOutput:
        """Losses from the vectors alone; no encoder runs here. In a shared step both are those of all processes."""

    def forward(self, encoder: EncoderT, batch: Batch, rng: torch.Generator) -> StepOutput:
        return self.score(of_whole_batch(self.embed(encoder, batch, rng), batch), batch.whole)


def of_whole_batch(rows: Tensor, batch: Batch) -> Tensor:
    """[N, ...] rows of this share's sequences -> rows of the whole batch's; in one process the very same."""
    if batch.shard is None:
        return rows
    return gathered_rows(rows, batch.shard.first, batch.whole.num_sequences)


@dataclass(frozen=True)
class ObjectiveSpec(ABC):
    """The typed settings of an objective; every field can be reached with `--set objective.FIELD=VALUE`."""

    @property
    def companions(self) -> tuple[str, ...]:
        """Names of the frozen models that the objective learns beside: "start", an earlier stage's recipe, a folder."""
        return ()

    @abstractmethod
    def build(self, encoder: Encoder, vocabulary: Vocabulary, pooling: str) -> Objective:
        """The objective for this encoder. `pooling` is how the exported model makes its vector ("cls", "mean", ...)."""
