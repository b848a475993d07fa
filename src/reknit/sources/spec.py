"""What a training batch is made of, as settings."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Generic, Self

from typing_extensions import TypeVar

from reknit.data.text.corpus import Corpus
from reknit.sources.source import Source

CorpusT = TypeVar("CorpusT", contravariant=True, default=Any)
ModelT = TypeVar("ModelT", contravariant=True, default=Any)
"""What batches are made of and for: texts and a model of texts, or pictures and a model of pictures."""


@dataclass(frozen=True)
class DataSpec(ABC, Generic[CorpusT, ModelT]):
    """Settings of a source; concrete ones are frozen dataclasses.

    corpus: the class of the corpora that batches are made of; the kind of a run follows from it. example: how a corpus
    is called where a command is shown. learns_from_start: whether a trained start model is needed, as the teacher.
    """

    corpus: ClassVar[type] = Corpus
    example: ClassVar[str] = "CORPUS"
    learns_from_start: ClassVar[bool] = False

    @abstractmethod
    def open(self, corpus: CorpusT, model: ModelT, folder: Path, seed: int) -> Source:
        """The batches for `model`, whose limits they follow; what is made once lies in `folder`.

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
    def check(self, corpus: CorpusT, name: str) -> None:
        """Raise ReknitError where the recipe `name` could not be trained on the corpus with these settings."""

    def as_compared(self, max_length: int, tokens_per_batch: int) -> Self:
        """The settings as they are when objectives are compared at these sizes of text and batch."""
        return self
