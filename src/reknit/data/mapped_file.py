"""A file mapped into memory, of which only what was read lately counts as this process's memory."""

from __future__ import annotations

import mmap
from pathlib import Path

# The kernel maps the pages around the one that is touched too, where it has them.
BYTES_PER_TOUCH = 64 * 2**10
TOUCHED_AT_MOST = 32 * 2**20


class MappedFile:
    """A read-only map of a whole file, as a buffer.

    A corpus that is read at random would come to lie in this process's memory page by page. `touch` counts, and lets
    go of the pages now and then; the system keeps them cached as long as it has room. An empty file has no bytes.
    """

    def __init__(self, path: Path) -> None:
        with open(path, "rb") as file:
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if path.stat().st_size else None
        self.buffer: mmap.mmap | bytes = b"" if self._map is None else self._map
        self._touched = 0

    def touch(self, places: int = 1, size: int = 0) -> None:
        """Say that so many places, or so many bytes in a row, are about to be read."""
        self._touched += places * BYTES_PER_TOUCH + size
        if self._touched > TOUCHED_AT_MOST:
            self._touched = 0
            if self._map is not None and hasattr(mmap, "MADV_DONTNEED"):
                self._map.madvise(mmap.MADV_DONTNEED)
