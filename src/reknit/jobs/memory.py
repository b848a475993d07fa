"""Keep the process from growing while batches of ever new shapes come and go.

Measured (docs/architecture.md): glibc's malloc keeps what is freed between blocks still in use, and with every new
shape of a batch the holes fit less well. A loop that needs 1.1 GB between two steps held 4.0 GB after 28 of them; the
rest was in use by nobody, and all of it went back to the system when asked for. Giving large blocks back at once
(MALLOC_MMAP_THRESHOLD_) holds the memory flat, but took about a fifth of the speed.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

# Pages given back must be cleared again: at 0.15 that took 14% of a step, at 0.4 6% for 10% more memory at the peak.
GROWTH_SHARE = 0.4
LEAST_GROWTH = 64 * 2**20
_STATM = Path("/proc/self/statm")
# From malloc.h.
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
# glibc's own settings, the thresholds as it reaches them by itself in a process that uses large blocks.
_OWN_SETTINGS = {
    _TRIM_THRESHOLD: 64 * 2**20,
    _MMAP_THRESHOLD: 32 * 2**20,
    _ARENA_MAX: 8 * (os.cpu_count() or 1),
}


class MemoryKeeper:
    """Call it between steps: it gives the heap's holes back to the system once they are worth it.

    share, least: the process may grow by this share of its size, and by so many bytes in any case, before that. Its
    size is taken one step after the last time: right after it, the process is small without what a step needs. Does
    nothing where there is no glibc.
    """

    def __init__(self, share: float = GROWTH_SHARE, least: int = LEAST_GROWTH) -> None:
        self.share = share
        self.least = least
        self._working: int | None = None
        self._trim = getattr(_c_library(), "malloc_trim", None) if _STATM.exists() else None

    def __call__(self) -> None:
        """Costs some microseconds when there is nothing to do."""
        if self._trim is None:
            return
        resident = resident_bytes()
        if self._working is None:
            self._working = resident
        elif resident > self._working + max(self.least, self.share * self._working):
            self._trim(0)
            self._working = None


def resident_bytes() -> int:
    """Memory of this process that is in RAM, pages of mapped files included (Linux only)."""
    return int(_STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def frugal_allocation() -> AbstractContextManager[None]:
    """Within the block, large blocks go back to the system as soon as they are free, and threads share two heaps.

    For code of other libraries that cannot be told to use less. Does nothing where there is no glibc.
    """
    return _malloc_settings({_MMAP_THRESHOLD: 2**20, _ARENA_MAX: 2})


def reusing_allocation() -> AbstractContextManager[None]:
    """Within the block, blocks of any size stay with the process when they are free, for the next that asks.

    For steps that need the same large blocks again and again: fresh pages cost more than what is computed on them. A
    `MemoryKeeper` sets the bounds. Does nothing where there is no glibc.
    """
    return _malloc_settings({_MMAP_THRESHOLD: 2**30, _TRIM_THRESHOLD: 2**31 - 1})


@contextmanager
def _malloc_settings(settings: dict[int, int]) -> Iterator[None]:
    set_option = getattr(_c_library(), "mallopt", None)
    if set_option is None:
        yield
        return
    for option, value in settings.items():
        set_option(option, value)
    try:
        yield
    finally:
        for option in settings:
            set_option(option, _OWN_SETTINGS[option])


def _c_library() -> Any:
    try:
        return ctypes.CDLL(None)
    except (OSError, TypeError):  # a system without dlopen
        return None
