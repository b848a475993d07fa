"""Runs beside each other on one machine, each with cores of its own."""

from __future__ import annotations

import os
import queue
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from reknit.errors import ReknitError
from reknit.jobs.machine import own_cores


class Places:
    """Where runs go: on `cores` cores of its own each, or on the whole machine, one at a time."""

    def __init__(self, cores: int | None) -> None:
        """Raises ReknitError for fewer cores than one and more than this process has."""
        own = own_cores()
        if cores is not None and not 1 <= cores <= len(own):
            raise ReknitError(f"--cores is {cores}: this process has 1 to {len(own)}")
        self._free: queue.SimpleQueue[list[int]] = queue.SimpleQueue()
        sets = [[]] if cores is None else [own[n : n + cores] for n in range(0, len(own) - cores + 1, cores)]
        self.number = len(sets)
        for place in sets:
            self._free.put(place)

    @contextmanager
    def one(self) -> Iterator[list[int]]:
        """The numbers of a free place's cores, none for the whole machine; waits until one is free."""
        place = self._free.get()
        try:
            yield place
        finally:
            self._free.put(place)


def run_module(words: Sequence[object], place: list[int]) -> float:
    """Seconds of `python -m WORDS`, on the cores of `place` and without a GPU if it names some.

    Raises ReknitError with its last line when it fails.
    """
    began = time.monotonic()
    command, environment = [sys.executable, "-m", *map(str, words)], dict(os.environ)
    if place:
        command = ["taskset", "--cpu-list", ",".join(map(str, place)), *command]
        environment |= {"OMP_NUM_THREADS": str(len(place)), "CUDA_VISIBLE_DEVICES": ""}
    ended = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if ended.returncode:
        lines = ended.stderr.strip().splitlines() or ["no message"]
        raise ReknitError(f"{words[0]} {words[1]} failed: {lines[-1]}")
    return round(time.monotonic() - began, 1)
