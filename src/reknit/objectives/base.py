"""What a training objective is: encoder, batch and random generator in; named losses out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, ClassVar, Generic, Literal

import torch
from torch import Tensor, nn
from typing_extensions import TypeVar

from reknit.collectives import gathered_rows
from reknit.data.batch import Batch, Vocabulary
from reknit.encoders.base import Encoder
from reknit.objectives.companions import Companions

EncoderT = TypeVar("EncoderT", bound=Encoder, contravariant=True, default=Any)
"""The encoders that an objective can train: any, or those of tokens. A plain `Objective` leaves it open."""


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

    What it declares, so that one set of checks can be run on all objectives (`tests/recipes/test_every_recipe.py`):

    auxiliary: names of the losses that train such a part and not the encoder's blocks (a generator's). partial: of
    those that need not reach its last blocks. companions: what `meet` was given. vector_losses: of those that reach the
    encoder through the pooled vector of each sequence alone. visible: {name: reason} of those that predict nothing that
    is masked, with the reason why what the encoder sees does not give the answer away. untrained: {name: when it
    changes} of its modules and parameters that no gradient trains, such as teachers: after every "step", when the
    "stage" changes, or "never".
    """

    auxiliary: ClassVar[frozenset[str]] = frozenset()
    partial: frozenset[str] = frozenset()
    vector_losses: frozenset[str] = frozenset()
    visible: Mapping[str, str] = MappingProxyType({})
    untrained: Mapping[str, Literal["step", "stage", "never"]] = MappingProxyType({})
    companions: Companions

    def __init__(self) -> None:
        super().__init__()
        self.companions = Companions()

    def meet(self, companions: Companions) -> None:
        """Learn beside these frozen models, which its settings named (`ObjectiveSpec.companions`)."""
        self.companions = companions

    @property
    def left_to_right(self) -> bool:
        """Whether every pass of the encoder attends to the left alone, so that what follows a text cannot reach it."""
        return False

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

    def floors(self, encoder: EncoderT, batch: Batch, rng: torch.Generator) -> dict[str, float | str]:
        """What each loss of the step `forward` makes of the same arguments cannot fall below, in nats, where tokens are
        independent and equally likely, and texts unrelated; a sentence that says why where there is no such bound."""
        return {}

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


WHOLE_TEXTS = "texts are embedded whole, and what is asked for is which of them belong together"


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

    def parts(self) -> dict[str, ObjectiveSpec]:
        """Where each step does one of several tasks: by task, the settings under which every step does that one."""
        return {}
