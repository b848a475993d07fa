"""This process's part of the batches that all processes share."""

from __future__ import annotations

from collections.abc import Callable

from reknit.data.batch import Batch
from reknit.data.shard import shard_of
from reknit.training.team import Team


class BatchShards:
    """This process's share of the batches of all."""

    def __init__(self, batches: Callable[[int], Batch], team: Team) -> None:
        self.batches, self.team = batches, team

    def __call__(self, step: int) -> Batch:
        return shard_of(self.batches(step), self.team.rank, self.team.size)
