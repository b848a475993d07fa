"""The order in which sequences are trained on: shuffled, of alike length together, within a budget of tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from reknit.errors import ReknitError

BATCHES_PER_POOL = 32


class EpochOrder:
    """The numbers 0 to count - 1 in a fresh order each epoch, a pure function of (seed, epoch)."""

    def __init__(self, count: int, seed: int) -> None:
        self._count, self._seed = count, seed
        self._current: tuple[int, np.ndarray] | None = None

    def __call__(self, epoch: int) -> np.ndarray:
        """[count] integers of the smallest type that holds them."""
        if self._current is None or self._current[0] != epoch:
            self._current = epoch, self._drawn(epoch)
        return self._current[1]

    def _drawn(self, epoch: int) -> np.ndarray:
        numbers = np.arange(self._count, dtype=smallest_index(self._count))
        return np.random.default_rng([self._seed, epoch]).permutation(numbers)


class TogetherOrder(EpochOrder):
    """The same, but members of one group come in runs of up to `together`, side by side; what is left of a group
    comes as a shorter run. Which members meet, and where their run stands, is fresh each epoch.

    groups: [n] number of each member's group.
    """

    def __init__(self, groups: np.ndarray, together: int, seed: int) -> None:
        super().__init__(len(groups), seed)
        self._groups, self._together = groups, together

    def _drawn(self, epoch: int) -> np.ndarray:
        order = super()._drawn(epoch)
        order = order[np.argsort(self._groups[order], kind="stable")]
        sizes = np.unique(self._groups, return_counts=True)[1]
        places = np.arange(len(order)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        runs = np.cumsum(places % self._together == 0) - 1
        turns = np.random.default_rng([self._seed, epoch, self._together]).permutation(int(runs[-1]) + 1)
        return order[np.argsort(turns[runs], kind="stable")]


class PackedOrder:
    """Batches of sequence numbers, a pure function of the step (nothing to save in a checkpoint).

    Each epoch is a fresh permutation, cut into pools of about 32 batches; a pool is sorted by length and the sorted
    pools are cut into batches, whose order is then shuffled. So sequences of one batch are of alike length, and which
    ones meet changes from epoch to epoch. Every sequence comes exactly once an epoch.

    lengths: [n] tokens of each sequence. tokens_per_batch: no batch holds more, except a single longer sequence.
    """

    def __init__(self, lengths: np.ndarray, tokens_per_batch: int, seed: int):
        if len(lengths) == 0:
            raise ReknitError("there is nothing to train on: the token store holds no sequences")
        if tokens_per_batch < 1:
            raise ReknitError(f"tokens_per_batch must be at least 1, got {tokens_per_batch}")
        self._lengths = np.asarray(lengths, dtype=np.int32)
        self._tokens_per_batch = tokens_per_batch
        self._seed = seed
        mean = max(1.0, float(self._lengths.mean()))
        self._pool = max(1, round(BATCHES_PER_POOL * tokens_per_batch / mean))
        # First step of each epoch met so far, and the end of the last one. Epochs differ a little in their number of
        # batches, so a resumed run walks through the epochs before its step once: milliseconds each.
        self._first_steps = [0]
        self._current: tuple[int, Epoch] | None = None

    def batch_indices(self, step: int) -> np.ndarray:
        """[k] int64 numbers of the sequences in the batch of training step `step` (from 0)."""
        if step < 0:
            raise ValueError(f"step must not be negative, got {step}")
        while step >= self._first_steps[-1]:
            self._first_steps.append(self._first_steps[-1] + len(self.epoch(len(self._first_steps) - 1)))
        epoch = int(np.searchsorted(self._first_steps, step, side="right")) - 1
        indices: np.ndarray = self.epoch(epoch)[step - self._first_steps[epoch]]
        return indices

    def epoch(self, number: int) -> Epoch:
        """All batches of one epoch, in order."""
        if self._current is None or self._current[0] != number:
            self._current = None  # before the next one is made, so that there are never two
            self._current = number, self._batches(number)
        return self._current[1]

    def _batches(self, number: int) -> Epoch:
        rng = np.random.default_rng((self._seed, number))
        order = rng.permutation(np.arange(len(self._lengths), dtype=smallest_index(len(self._lengths))))
        cuts, room = [0], self._tokens_per_batch
        # Pool by pool, so that besides the order itself only a pool's worth of memory is needed.
        for place, first in enumerate(range(0, len(order), self._pool)):
            pool = order[first : first + self._pool]
            lengths = self._lengths[pool]
            # Every other pool is sorted downwards, so that neighbours across the border of two pools are alike too.
            ranks = np.argsort(lengths if place % 2 == 0 else -lengths, kind="stable")
            pool[:] = pool[ranks]
            ends, done = np.cumsum(lengths[ranks], dtype=np.int64), 0
            while (fits := int(np.searchsorted(ends, done + room, side="right"))) < len(pool):
                fits += first + fits == cuts[-1]  # a sequence longer than a batch is one by itself
                cuts.append(first + fits)
                done, room = int(ends[fits - 1]) if fits else 0, self._tokens_per_batch
            room -= int(ends[-1]) - done
        if cuts[-1] < len(order):
            cuts.append(len(order))
        return Epoch(order, np.array(cuts), rng.permutation(len(cuts) - 1))


@dataclass(frozen=True)
class Epoch(Sequence[np.ndarray]):
    """The batches of one epoch.

    order: [n] sequence numbers. cuts: [b + 1] where batches begin and end in it. turns: [b] their numbers, in
    the order of training.
    """

    order: np.ndarray
    cuts: np.ndarray
    turns: np.ndarray

    def __len__(self) -> int:
        return len(self.turns)

    def __getitem__(self, place: Any) -> Any:
        """[k] sequence numbers of the batch at `place`."""
        number = self.turns[place]
        return self.order[self.cuts[number] : self.cuts[number + 1]].astype(np.int64)


def smallest_index(count: int) -> type[np.integer]:
    """A type for numbers below `count` that takes no more memory than it must."""
    return np.int32 if count <= np.iinfo(np.int32).max else np.int64
