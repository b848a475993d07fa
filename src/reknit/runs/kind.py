"""What a run does with its kind of data; folder, settings, budget and resume are the same for every kind."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from reknit.runs.config import RunConfig
from reknit.runs.run_folder import RunFolder
from reknit.training.team import Team


class RunKind(ABC):
    """A run on one kind of data. The methods are called in the order in which they stand here.

    reads: the data in the plural, for messages. result_kind: what result.json says of itself in `kind`; "" where it
    says nothing.
    """

    reads: ClassVar[str]
    result_kind: ClassVar[str] = ""

    def __init__(self, config: RunConfig, folder: RunFolder) -> None:
        self.config, self.folder = config, folder
        self._began = time.monotonic()

    @property
    def elapsed(self) -> float:
        """Seconds since the run, or its resume, began."""
        return time.monotonic() - self._began

    @abstractmethod
    def check(self, settings: Sequence[str]) -> None:
        """Raise ReknitError for what can be said before anything is loaded. settings: of the command, "a.b=c"."""

    @abstractmethod
    def load(self) -> None:
        """Load what the configuration names beside the corpus; nothing is written yet. Raises ReknitError where it
        cannot be loaded."""

    @abstractmethod
    def prepare(self) -> None:
        """Bring the corpus to disk and have the model that training starts from; a resume finds what there is.

        Raises ReknitError where the corpus cannot be used.
        """

    @abstractmethod
    def train_and_deliver(self, team: Team) -> dict[str, Any]:
        """The rest of the run; returns what result.json holds. Raises Interrupted, with everything saved."""

    @abstractmethod
    def help_to_train(self, team: Team) -> None:
        """The part of a process that is not rank 0, for which corpus and start are on disk already."""

    @staticmethod
    @abstractmethod
    def show(result: dict[str, Any], out: Path) -> None:
        """Print what result.json of the run folder `out` holds, and where things are."""


def not_here() -> Any:
    """In place of what rank 0 alone does."""
    raise AssertionError("the first process does this")
