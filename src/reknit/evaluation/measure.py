"""What a measure of a trained encoder is; each kind is a small class in the file of its evaluation."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from reknit.jobs.precision import PrecisionChoice

if TYPE_CHECKING:
    from reknit.models.embedding_model import EmbeddingModel
    from reknit.objectives.base import Objective

Size = tuple[int, int]
"""(layers, dimensions) that an encoder is cut to."""


@dataclass(frozen=True)
class Subject:
    """What is measured.

    trained: the encoder as its objective left it. tuned: after the tuning that it searches with; the same one where
    there was none. objective: with its heads as the training ended, None where nothing was trained. seed: of what is
    drawn while measuring. max_length: tokens of the texts whose likelihood is measured.
    """

    trained: EmbeddingModel
    tuned: EmbeddingModel
    objective: Objective | None = None
    seed: int = 0
    precision: PrecisionChoice = "auto"
    max_length: int = 128


class Measure(ABC):
    """One number of an encoder. Concrete measures are frozen dataclasses that hold what they measure on.

    lower_is_better: whether smaller values are the better ones. of_language_models: whether only objectives that train
    a language model have it.
    """

    lower_is_better: ClassVar[bool] = False
    of_language_models: ClassVar[bool] = False

    @property
    @abstractmethod
    def label(self) -> str:
        """The name of its data and what it is, such as "cranfield nDCG@10"."""

    @property
    def texts_to_keep_out(self) -> tuple[str, ...]:
        """Texts that training must not see."""
        return ()

    @abstractmethod
    def value(self, subject: Subject) -> float | None:
        """The number; None where the subject has none (it is no language model of the kind that is measured)."""

    def at(self, size: Size) -> Measure | None:
        """The same of the encoder cut to a size; None for a measure of whole encoders alone."""
        return None


def shown_size(size: Size | None) -> str:
    """What a label says of a size; nothing of the whole encoder."""
    return "" if size is None else f" at {size[0]}x{size[1]}"
