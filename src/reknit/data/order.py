"""The order in which sequences are trained on: shuffled, of alike length together, within a budget of tokens."""

from __future__ import annotations

import numpy as np

from reknit.errors import ReknitError

BATCHES_PER_POOL = 32


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
        self._current: tuple[int, list[np.ndarray]] | None = None

    def batch_indices(self, step: int) -> np.ndarray:
        """[k] int64 numbers of the sequences in the batch of training step `step` (from 0)."""
        if step < 0:
            raise ValueError(f"step must not be negative, got {step}")
        while step >= self._first_steps[-1]:
            self._first_steps.append(self._first_steps[-1] + len(self.epoch(len(self._first_steps) - 1)))
        epoch = int(np.searchsorted(self._first_steps, step, side="right")) - 1
        return self.epoch(epoch)[step - self._first_steps[epoch]]

    def epoch_of(self, step: int) -> int:
        """The epoch (from 0) that training step `step` belongs to."""
        self.batch_indices(step)
        return int(np.searchsorted(self._first_steps, step, side="right")) - 1

    def epoch(self, number: int) -> list[np.ndarray]:
        """All batches of one epoch, in order."""
        if self._current is None or self._current[0] != number:
            self._current = number, self._batches(number)
        return self._current[1]

    def _batches(self, epoch: int) -> list[np.ndarray]:
        rng = np.random.default_rng((self._seed, epoch))
        order = rng.permutation(len(self._lengths))
        lengths = self._lengths[order]
        pool = np.arange(len(order)) // self._pool
        # Every other pool is sorted downwards, so that neighbours across the border of two pools are alike too.
        order = order[np.lexsort((np.where(pool % 2 == 0, lengths, -lengths), pool))]
        ends = np.cumsum(self._lengths[order])
        cuts = [0]
        while cuts[-1] < len(order):
            spent = int(ends[cuts[-1] - 1]) if cuts[-1] else 0
            fits = int(np.searchsorted(ends, spent + self._tokens_per_batch, side="right"))
            cuts.append(max(fits, cuts[-1] + 1))
        batches = np.split(order, cuts[1:-1])
        return [batches[number] for number in rng.permutation(len(batches))]
