"""Choosing among an index's passages by small vectors, before the whole ones decide.

The small vectors are the first dimensions of those of an elastic model (adaptive retrieval: Kusupati et al. 2022,
Matryoshka representation learning), or the signs of all dimensions, a bit each (Yamada et al. 2021, Efficient passage
retrieval with hashing). They are made from the index's own vectors when they are first asked for, and kept beside them.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np

from reknit.errors import ReknitError

Size = int | Literal["binary"]
"""So many first dimensions, or the signs of all."""

FOLDER = "first_pass"
CANDIDATES_PER_HIT = 4
LEAST_CANDIDATES = 100
_ROWS_AT_ONCE = 8192

Vectors = Callable[[list[int]], np.ndarray]
"""From places in the index, ascending, to the [n, dim] vectors there."""


class FirstPass:
    """rows: [passages, size] float32 of length 1 or 0, or [passages, bytes] uint8 of signs."""

    def __init__(self, rows: np.ndarray) -> None:
        self.rows = rows

    @classmethod
    def of(cls, folder: Path, count: int, dim: int, size: Size, vectors: Vectors) -> FirstPass:
        """What is kept in the index folder, else made from its `count` vectors of `dim` dimensions and kept there.

        In a folder that cannot be written to it is made anew each time. Raises ReknitError for more dimensions than
        there are, or none.
        """
        if size != "binary" and not 1 <= size <= dim:
            raise ReknitError(f"--dims {size}: the index has {dim} dimensions")
        path = folder / FOLDER / f"{size}.npy"
        width = -(-dim // 8) if size == "binary" else size
        kept = _kept(path, (count, width))
        if kept is not None:
            return cls(kept)
        rows = np.empty((count, width), dtype=np.uint8 if size == "binary" else np.float32)
        for start in range(0, count, _ROWS_AT_ONCE):
            stop = min(start + _ROWS_AT_ONCE, count)
            rows[start:stop] = small(vectors(list(range(start, stop))), size)
        _keep(path, rows)
        return cls(rows)

    def nearest(self, vector: np.ndarray, count: int) -> list[int]:
        """Places of the `count` passages nearest to a [dim] vector, ascending; of equal ones the first."""
        if self.rows.dtype == np.uint8:
            apart = np.bitwise_count(self.rows ^ small(vector[None], "binary")).sum(axis=1, dtype=np.int64)
        else:
            apart = -(self.rows @ vector[: self.rows.shape[1]])
        if count >= len(apart):
            return list(range(len(apart)))
        nearest: list[int] = np.sort(np.argsort(apart, kind="stable")[:count]).tolist()
        return nearest


def small(vectors: np.ndarray, size: Size) -> np.ndarray:
    """[n, dim] vectors -> what a first pass keeps of them; rows of zeros stay so."""
    if size == "binary":
        return np.packbits(vectors > 0, axis=1)
    first = vectors[:, :size]
    unit: np.ndarray = first / np.maximum(np.linalg.norm(first, axis=1, keepdims=True), 1e-12)
    return unit


def _kept(path: Path, shape: tuple[int, int]) -> np.ndarray | None:
    try:
        rows = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return rows if rows.shape == shape else None


def _keep(path: Path, rows: np.ndarray) -> None:
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(exist_ok=True)
        with aside.open("wb") as file:
            np.save(file, rows, allow_pickle=False)
        os.replace(aside, path)
    except OSError:
        aside.unlink(missing_ok=True)
