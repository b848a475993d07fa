"""Where a phase's batches come from."""

from __future__ import annotations

from abc import ABC, abstractmethod

from reknit.data.batch import Batch


class Source(ABC):
    """The batches of one phase, a pure function of the step: so a resume repeats them, and processes agree.

    steps: the most steps that make sense, None for as many as the budget has. about: what they are of, for the log.
    seconds_spent: what was spent of the phase's budget before its first step.
    """

    steps: int | None = None
    about: str = ""
    seconds_spent: float = 0.0

    @abstractmethod
    def __call__(self, step: int) -> Batch:
        """The batch of a step, from 0, of all processes."""
