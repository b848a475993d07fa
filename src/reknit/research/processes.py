"""The trainings of a comparison, several at a time in processes of their own."""

from __future__ import annotations

import multiprocessing
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, cast

import torch

from reknit.errors import ReknitError
from reknit.jobs.interrupt import Interrupted, StopRequest, listen_for_stop
from reknit.research.pretraining.arm import run_arm
from reknit.research.pretraining.config import Arm, ComparisonConfig
from reknit.research.pretraining.folder import ComparisonFolder
from reknit.research.pretraining.material import Material

Job = tuple[Arm, int]
"""An arm and its seed."""

_SECONDS_BETWEEN_LOOKS = 0.5


def run_in_processes(
    jobs: Sequence[Job], config: ComparisonConfig, folder: ComparisonFolder, processes: int, stop: StopRequest
) -> list[dict[str, Any]]:
    """What `run_arm` returns for each job, in their order; at most `processes` of them run at a time.

    The material must be prepared. Each process takes a share of the threads, and the GPUs are dealt out in turn; what
    it would print is in logs/. Raises what a job raises, Interrupted when a stop is asked for, and ReknitError when a
    process is killed; the other jobs end at their next step then, with a checkpoint.
    """
    # A pipe for each process: of a queue shared by all, one that is killed would take the lock with it.
    context = multiprocessing.get_context("spawn")
    threads = max(1, torch.get_num_threads() // processes)
    folder.logs.mkdir(exist_ok=True)
    workers: dict[Connection, BaseProcess] = {}
    for number in range(min(processes, len(jobs))):
        ours, theirs = context.Pipe()
        worker: BaseProcess = context.Process(
            target=_work, args=(theirs, number, folder.path, config, threads), name=f"training-{number}", daemon=True
        )
        worker.start()
        theirs.close()
        workers[ours] = worker
    try:
        return _dealt_out(jobs, workers, stop)
    finally:
        for ours, worker in workers.items():
            ours.close()
            worker.terminate()
        for worker in workers.values():
            worker.join()


def _dealt_out(jobs: Sequence[Job], workers: dict[Connection, BaseProcess], stop: StopRequest) -> list[dict[str, Any]]:
    """Give every process a job, and the next one whenever it has done one."""
    found: dict[int, dict[str, Any]] = {}
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
                arm, seed = jobs[doing[worker]]
                raise ReknitError(
                    f"the process of {arm.name} with seed {seed} was killed (by a lack of memory? see its log in "
                    "logs/): go on with --resume, and with fewer --processes if so"
                ) from None
            if isinstance(answer, Exception):
                raise answer
            found[doing[worker]] = answer
            give(worker)
        if stop.asked:
            raise Interrupted("stopped")
    return [found[number] for number in range(len(jobs))]


def _work(parent: Connection, number: int, path: Path, config: ComparisonConfig, threads: int) -> None:
    """What a process does: each job it is sent, until nothing can come any more."""
    torch.set_num_threads(threads)
    if torch.cuda.is_available():
        torch.cuda.set_device(number % torch.cuda.device_count())
    folder = ComparisonFolder(path)
    sys.stderr = (folder.logs / f"process-{number}.log").open("a", encoding="utf-8", buffering=1)
    with listen_for_stop() as stop:
        # Ctrl-C reaches all processes of a terminal; the one that leads says so to the others, once.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        material = Material.prepared(config, folder)
        while not stop.asked:
            try:
                arm, seed = parent.recv()
            except EOFError:
                return
            print(f"seed {seed}, {arm.name}", file=sys.stderr)
            try:
                parent.send(run_arm(arm, config, seed, folder.run(arm, seed), material, stop))
            except Exception as error:
                with suppress(BrokenPipeError):  # whoever asked for it has stopped
                    parent.send(error)
