"""What a teacher says of pseudo-queries, on disk: made once in a run, then read at random.

Files of a folder: texts.json (the queries), documents.npy [D, dim] float32 (unit vectors), ranked.npy [Q, K] int32 (the
teacher's best documents), probabilities.npy [Q, K] float32, left_out.npy [Q, 2] int32 (first and last + 1 of the
documents that are not considered for the query, as it was taken from them) and facts.json.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from reknit.data.batch import TeacherTargets
from reknit.errors import ReknitError

DISTILLATION_TARGETS = "lessons"
"""The folder's name among a run's data (what older versions called it)."""

ARRAYS = ("documents", "ranked", "probabilities", "left_out")


@dataclass(frozen=True)
class DistillationTargets:
    """The content of the folder; arrays are as the module's docstring says."""

    texts: list[str]
    documents: np.ndarray
    ranked: np.ndarray
    probabilities: np.ndarray
    left_out: np.ndarray
    facts: dict[str, Any]

    def __len__(self) -> int:
        return len(self.texts)

    def save(self, folder: Path) -> None:
        """Write the folder; it must exist."""
        (folder / "texts.json").write_text(json.dumps(self.texts, ensure_ascii=False), encoding="utf-8")
        for name in ARRAYS:
            np.save(folder / f"{name}.npy", getattr(self, name), allow_pickle=False)
        (folder / "facts.json").write_text(json.dumps(self.facts, indent=2), encoding="utf-8")

    @classmethod
    def open(cls, folder: Path) -> DistillationTargets:
        """Read what `save` wrote, the arrays mapped. Raises ReknitError when it is missing or damaged."""
        try:
            texts = json.loads((folder / "texts.json").read_text(encoding="utf-8"))
            facts = json.loads((folder / "facts.json").read_text(encoding="utf-8"))
            arrays = {name: np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False) for name in ARRAYS}
        except (OSError, ValueError, EOFError) as error:
            raise ReknitError(
                f"{folder} does not hold a teacher's targets ({error}); start the run again, with --overwrite"
            ) from error
        return cls(texts, facts=facts, **arrays)

    def of(self, numbers: Sequence[int]) -> TeacherTargets:
        """What the teacher says of the queries with these numbers."""
        rows = list(numbers)
        targets = torch.zeros(len(rows), len(self.documents))
        targets.scatter_(
            1, torch.from_numpy(self.ranked[rows].astype(np.int64)), torch.from_numpy(self.probabilities[rows])
        )
        left_out = torch.zeros(targets.shape, dtype=torch.bool)
        for row, (first, end) in enumerate(self.left_out[rows].tolist()):
            left_out[row, first:end] = True
        return TeacherTargets(self._vectors, targets, left_out)

    @functools.cached_property
    def _vectors(self) -> torch.Tensor:
        return torch.from_numpy(np.array(self.documents))


def seconds_taught(folder: Path) -> float:
    """That making the targets in the folder took; 0 where there are none. Raises ReknitError as `open` does."""
    return float(DistillationTargets.open(folder).facts["seconds"]) if folder.exists() else 0.0
