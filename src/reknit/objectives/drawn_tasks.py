"""Settings of an objective that has several tasks and samples one of them in each step."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import torch

from reknit.errors import ReknitError
from reknit.objectives.base import ObjectiveSpec


@dataclass(frozen=True)
class DrawnTasksSpec(ObjectiveSpec):
    """A subclass names its tasks in `every_task` and has a field TASK_weight for each: the factor of the task's loss.

    A task with weight 0 is never sampled; the others are all equally likely, whatever their weights. Raises ReknitError
    for a weight below 0, and where all of them are 0.
    """

    every_task: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        weights = tuple(self.weight(task) for task in self.every_task)
        if min(weights) < 0.0 or max(weights) == 0.0:
            raise ReknitError(f"the weights of the tasks are {weights}: none may be below 0, and one must be above")

    def weight(self, task: str) -> float:
        return float(getattr(self, f"{task}_weight"))

    @property
    def tasks(self) -> list[str]:
        """Those that are drawn."""
        return [task for task in self.every_task if self.weight(task) > 0.0]

    def drawn(self, rng: torch.Generator) -> str:
        """The task of a step: the first draw of its generator, so that all processes do the same one."""
        return self.tasks[int(torch.randint(len(self.tasks), (), generator=rng))]

    def parts(self) -> dict[str, ObjectiveSpec]:
        weights = {task: {f"{other}_weight": float(other == task) for other in self.tasks} for task in self.tasks}
        return {task: replace(self, **weights[task]) for task in self.tasks}
