"""Arms trained with seeds, several at a time in processes of their own."""

from __future__ import annotations

import multiprocessing
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, TypeVar, cast

import torch

from reknit.errors import ReknitError
from reknit.jobs.interrupt import Interrupted, StopRequest, listen_for_stop

Result = TypeVar("Result")

_SECONDS_BETWEEN_LOOKS = 0.5


@dataclass(frozen=True)
class Job:
    """One training: an arm as its experiment reads it, and the seed."""

    arm: str
    seed: int


RunJob = Callable[[Job, StopRequest], Result]


def run_in_processes(
    jobs: Sequence[Job], begin: Callable[[], RunJob[Result]], logs: Path, processes: int, stop: StopRequest
) -> list[Result]:
    """What each job gives, in their order; at most `processes` of them run at a time.

    begin: sent to each process (so it can be pickled) and called there once, for the function that runs its jobs. Each
    process takes an equal part of the threads, and the GPUs are dealt out in turn; what it would print goes into the
    folder `logs`. Raises what a job raises, Interrupted on a stop request, and ReknitError when a process is
    killed; the other jobs end at their next step then.
    """
    # A pipe for each process: of a queue shared by all, one that is killed would take the lock with it.
    context = multiprocessing.get_context("spawn")
    threads = max(1, torch.get_num_threads() // processes)
    logs.mkdir(exist_ok=True)
    workers: dict[Connection, BaseProcess] = {}
    for number in range(min(processes, len(jobs))):
        ours, theirs = context.Pipe()
        worker: BaseProcess = context.Process(
            target=_work, args=(theirs, number, begin, logs, threads), name=f"training-{number}", daemon=True
        )
        worker.start()
        theirs.close()
        workers[ours] = worker
    try:
        return _deal_out(jobs, workers, stop)
    finally:
        for ours, worker in workers.items():
            ours.close()
            worker.terminate()
        for worker in workers.values():
            worker.join()


def _deal_out(jobs: Sequence[Job], workers: dict[Connection, BaseProcess], stop: StopRequest) -> list[Any]:
    """Give every process a job, and the next one whenever it has done one."""
    found: dict[int, Any] = {}
    left = iter(range(len(jobs)))
    doing: dict[Connection, int] = {}

    def give(worker: Connection) -> None:
        doing.pop(worker, None)
        if (number := next(left, None)) is not None:
            doing[worker] = number
            worker.send(jobs[number])

    for each in workers:
        give(each)
    while doing:
        for worker in cast(list[Connection], wait(list(doing), _SECONDS_BETWEEN_LOOKS)):
            try:
                answer = worker.recv()
            except EOFError:
                job = jobs[doing[worker]]
                raise ReknitError(
                    f"the process of {job.arm} with seed {job.seed} was killed, perhaps for lack of memory (see its "
                    "log in logs/): repeat the command (compare: with --resume), with fewer --processes if so"
                ) from None
            if isinstance(answer, Exception):
                raise answer
            found[doing[worker]] = answer
            give(worker)
        if stop.asked:
            raise Interrupted("stopped")
    return [found[number] for number in range(len(jobs))]


def _work(parent: Connection, number: int, begin: Callable[[], RunJob[Any]], logs: Path, threads: int) -> None:
    """What a process does: each job it is sent, until nothing can come any more."""
    torch.set_num_threads(threads)
    if torch.cuda.is_available():
        torch.cuda.set_device(number % torch.cuda.device_count())
    sys.stderr = (logs / f"process-{number}.log").open("a", encoding="utf-8", buffering=1)
    with listen_for_stop() as stop:
        # Ctrl-C reaches all processes of a terminal; rank 0 tells the others, once.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        run = begin()
        while not stop.asked:
            try:
                job = parent.recv()
            except EOFError:
                return
            print(f"seed {job.seed}, {job.arm}", file=sys.stderr)
            try:
                parent.send(run(job, stop))
            except Exception as error:
                with suppress(BrokenPipeError):  # whoever asked for it has stopped
                    parent.send(error)
