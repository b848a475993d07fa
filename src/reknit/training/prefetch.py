"""The next step's batch, made in a thread while the present step is trained on."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import torch

from reknit.data.batch import Batch


class ReadAhead:
    """Batches one step ahead, and how long training stood still for them. Use it in a `with` block.

    batches: the batch of a step, a pure function of its number; it is called in one thread, for one step at a time.
    first: the step that is wanted first. device: where the batches go. clock: seconds from a monotonic clock.
    waited: seconds that the last `take` needed to have its batch on the device (of an accelerator, the copy included).
    """

    def __init__(
        self,
        batches: Callable[[int], Batch],
        first: int,
        device: torch.device,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.batches, self.device, self.clock = batches, device, clock
        self.waited = 0.0
        self._loader = ThreadPoolExecutor(1)
        self._next: Future[Batch] = self._loader.submit(batches, first)

    def __enter__(self) -> ReadAhead:
        return self

    def __exit__(self, *error: object) -> None:
        self._loader.shutdown()

    def take(self, step: int) -> Batch:
        """The batch of `step`, which must be `first` or one more than last time; begins to make the one after it.

        Raises whatever making it raised.
        """
        began = self.clock()
        batch = self._next.result().to(self.device)
        self.waited = self.clock() - began
        self._next = self._loader.submit(self.batches, step + 1)
        return batch
