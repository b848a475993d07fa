"""Keep the process from growing while batches of ever new shapes come and go.

Measured (docs/architecture.md): glibc's malloc keeps what is freed between blocks still in use, and with every new
shape of a batch the holes fit less well. A run that needs 0.6 GB between two steps held 4 GB after 28 of them; none of
it was in use, and all of it went back to the system when asked for. Giving large blocks back at once
(MALLOC_MMAP_THRESHOLD_) holds the memory flat too, but costs a fifth of the speed.
"""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

GROWTH = 512 * 2**20
_STATM = Path("/proc/self/statm")


class MemoryKeeper:
    """Call it between steps: it gives the heap's holes back to the system once they are worth it.

    growth: bytes that the process may grow by before that, counted from its size one step after the last time (right
    after it, the process is small without what a step needs). Does nothing where there is no glibc.
    """

    def __init__(self, growth: int = GROWTH) -> None:
        self.growth = growth
        self._working: int | None = None
        self._trim = _malloc_trim() if _STATM.exists() else None

    def __call__(self) -> None:
        """Costs some microseconds when there is nothing to do."""
        if self._trim is None:
            return
        resident = resident_bytes()
        if self._working is None:
            self._working = resident
        elif resident > self._working + self.growth:
            self._trim(0)
            self._working = None


def resident_bytes() -> int:
    """Memory of this process that is in RAM, pages of mapped files included (Linux only)."""
    return int(_STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _malloc_trim():
    try:
        return ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError, TypeError):  # another C library
        return None
