"""A set of hashes that stays small: what curation remembers of every document it has seen."""

from __future__ import annotations

import numpy as np

RECENT = 65_536


class HashSet:
    """A growing set of integers of 64 bits, at 8 bytes each (a Python set takes about 100).

    New members wait in a Python set; when there are 65,536 they become a sorted array, and arrays of like size are
    merged, so a look-up searches a handful of arrays. A merge takes the size of what it merges once more.
    """

    def __init__(self) -> None:
        self._recent: set[int] = set()
        self._arrays: list[np.ndarray] = []

    def __len__(self) -> int:
        return len(self._recent) + sum(len(array) for array in self._arrays)

    def __contains__(self, value: int) -> bool:
        return value in self._recent or any(_holds(array, value) for array in self._arrays)

    def add(self, value: int) -> bool:
        """Add a value of 0 to 2**64 - 1; False when it was there before."""
        if value in self:
            return False
        self._recent.add(value)
        if len(self._recent) >= RECENT:
            newest = np.sort(np.fromiter(self._recent, dtype=np.uint64, count=len(self._recent)))
            self._recent = set()
            while self._arrays and len(self._arrays[-1]) <= len(newest):
                newest = np.concatenate([self._arrays.pop(), newest])
                newest.sort(kind="stable")
            self._arrays.append(newest)
        return True


def _holds(array: np.ndarray, value: int) -> bool:
    place = int(np.searchsorted(array, np.uint64(value)))
    return place < len(array) and int(array[place]) == value
