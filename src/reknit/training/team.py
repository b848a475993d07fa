"""The processes that train one model together, as `torchrun` starts them; one process is a team of one.

All files of a run are in one folder that every process sees. Rank 0 reads the corpus, writes
everything, probes, and takes every decision that a clock or a file has a part in; the others hear of it here.
"""

from __future__ import annotations

import logging
import os
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import torch
import torch.distributed as dist

from reknit.errors import ReknitError
from reknit.jobs.interrupt import EndedElsewhere

if TYPE_CHECKING:
    from torch.distributed.distributed_c10d import Store

Value = TypeVar("Value")
ParallelChoice = Literal["ddp", "fsdp"]

# The others wait while rank 0 reads a corpus or probes. Dead processes are detected by torchrun, not by this timeout.
_PATIENCE = timedelta(days=2)
_FAILURES = "reknit/failures"
# gloo's threads (torch 2.13) let go of the last messages a moment after these have arrived, and need the interpreter to
# do so: if it is already ending, the process crashes.
_SETTLING = 0.5


@dataclass(frozen=True)
class Team:
    """`size` processes, of which this is number `rank`. Every method but `own_seed` is called by all at once."""

    rank: int = 0
    size: int = 1

    @property
    def is_rank_zero(self) -> bool:
        return self.rank == 0

    def from_rank_zero(self, make: Callable[[], Value]) -> Value:
        """What `make` gives on rank 0, on every process; the others do not call it."""
        if self.size == 1:
            return make()
        box: list[Any] = [make() if self.is_rank_zero else None]
        dist.broadcast_object_list(box, src=0, device=torch.device("cpu"))
        value: Value = box[0]
        return value

    def rank_zero_first(self, make: Callable[[], Value]) -> Value:
        """What `make` gives here; rank 0 has finished with it, and left its files, before the others begin."""
        if not self.is_rank_zero:
            self.wait()
        made = make()
        if self.is_rank_zero:
            self.wait()
        return made

    def any(self, *flags: bool) -> list[bool]:
        """For each flag, whether it is set on any process."""
        if self.size == 1:
            return list(flags)
        return [vote > 0 for vote in _all_reduced([float(flag) for flag in flags], dist.ReduceOp.MAX)]

    def sum(self, value: float) -> float:
        """The sum over all processes."""
        if self.size == 1:
            return value
        return _all_reduced([value], dist.ReduceOp.SUM)[0]

    def wait(self) -> None:
        """Go on when all processes have come here."""
        self.any(False)

    def leave(self) -> None:
        """End the work in common; each process then continues, or ends, by itself."""
        if self.size > 1:
            self.wait()
            dist.destroy_process_group()

    def own_seed(self, seed: int) -> int:
        """A seed for random numbers that differ from process to process (dropout); rank 0's is `seed` itself."""
        return seed if self.is_rank_zero else zlib.crc32(f"{seed}/{self.rank}".encode())


def _all_reduced(values: list[float], how: dist.ReduceOp.RedOpType) -> list[float]:
    message = torch.tensor(values, dtype=torch.float64)
    dist.all_reduce(message, how)
    return message.tolist()


@contextmanager
def join_team() -> Iterator[Team]:
    """The team that `torchrun` has started, for the length of the block, and this process's device chosen.

    The first process to leave with an error leaves with that error; the others, which it takes along, with
    EndedElsewhere. Raises ReknitError when there are more processes on this machine than accelerators, and when the
    environment names a team by halves.
    """
    if os.environ.get("WORLD_SIZE", "") in ("", "1"):
        yield Team()
        return
    from torch.distributed.rendezvous import rendezvous  # a torch built without torch.distributed has none

    try:
        store, rank, size = next(rendezvous("env://"))
    except ValueError as error:
        raise ReknitError(
            f"WORLD_SIZE is set but the other variables of torchrun are not ({error}): start with torchrun, or unset "
            "WORLD_SIZE"
        ) from error
    if rank != 0:
        logging.getLogger("reknit").setLevel(logging.WARNING)
    try:
        # gloo carries the team's own small messages, also where NCCL carries gradients.
        backend = "cpu:gloo,cuda:nccl" if _took_accelerator() else "gloo"
        dist.init_process_group(backend, store=store, rank=rank, world_size=size, timeout=_PATIENCE)
        yield Team(rank, size)
    except BaseException as error:
        if _first(store):
            raise
        raise EndedElsewhere("another process of this run ended first and says why") from error
    finally:
        time.sleep(_SETTLING)


def _took_accelerator() -> bool:
    """Whether there is one for this process, which is then its default."""
    if not torch.cuda.is_available():
        return False
    place, there = int(os.environ.get("LOCAL_RANK", "0")), torch.cuda.device_count()
    if place >= there:
        raise ReknitError(f"this machine has {there} accelerator(s): start at most as many processes on it")
    torch.cuda.set_device(place)
    return True


def _first(store: Store) -> bool:
    """Whether this process is the first of the run to end with an error."""
    try:
        first: bool = store.add(_FAILURES, 1) == 1
        return first
    except RuntimeError:  # the launcher is gone, and whoever ended it knows why
        return True
