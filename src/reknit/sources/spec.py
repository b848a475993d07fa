"""What a training batch is made of, as settings."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

from reknit.data.text.corpus import Corpus
from reknit.models.embedding_model import EmbeddingModel
from reknit.sources.source import Source


@dataclass(frozen=True)
class DataSpec(ABC):
    """Settings of a source; concrete ones are frozen dataclasses.

    learns_from_start: whether a trained start model is needed, as the teacher.
    """

    learns_from_start: ClassVar[bool] = False

    @abstractmethod
    def open(self, corpus: Corpus, model: EmbeddingModel, folder: Path, seed: int) -> Source:
        """The batches for `model`, whose tokenizer, limits and prompts they follow; what is made once lies in `folder`.

        Raises ReknitError where the corpus has nothing to make batches of.
        """

    @property
    @abstractmethod
    def longest(self) -> int:
        """Tokens of the longest text of a batch."""

    @property
    @abstractmethod
    def room(self) -> int:
        """How many of the longest examples a batch has room for."""

    @abstractmethod
    def with_room(self, examples: int) -> str:
        """The setting that gives a batch room for `examples` examples, such as "pairs_per_batch=4"."""

    @abstractmethod
    def check(self, corpus: Corpus, name: str) -> None:
        """Raise ReknitError where the recipe `name` could not be trained on the corpus with these settings."""

    def as_compared(self, max_length: int, tokens_per_batch: int) -> Self:
        """The settings as they are when objectives are compared at these sizes of text and batch."""
        return self
