"""DistillationTargets on disk: what was saved comes back, as the loss wants it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from reknit.errors import ReknitError
from reknit.sources.distillation_targets import DistillationTargets


def targets() -> DistillationTargets:
    return DistillationTargets(
        texts=["one", "two", "drei ü"],
        documents=np.eye(5, 4, dtype=np.float32),
        ranked=np.array([[1, 4], [2, 0], [3, 1]], dtype=np.int32),
        probabilities=np.array([[0.75, 0.25], [0.5, 0.5], [1.0, 0.0]], dtype=np.float32),
        left_out=np.array([[0, 1], [3, 5], [2, 3]], dtype=np.int32),
        facts={"seconds": 1.5},
    )


def test_a_lesson_is_dense_and_in_the_order_asked_for(tmp_path: Path) -> None:
    targets().save(tmp_path)
    found = DistillationTargets.open(tmp_path)
    assert found.texts == targets().texts
    assert found.facts == targets().facts
    found_targets = found.of([1, 0])
    assert torch.equal(found_targets.documents, torch.eye(5, 4))
    assert found_targets.targets.tolist() == [[0.5, 0, 0.5, 0, 0], [0, 0.75, 0, 0, 0.25]]
    assert found_targets.left_out.tolist() == [[False, False, False, True, True], [True, False, False, False, False]]


@pytest.mark.parametrize("damage", ["texts.json", "ranked.npy", "facts.json"])
def test_damaged_lessons_are_named(tmp_path: Path, damage: str) -> None:
    targets().save(tmp_path)
    (tmp_path / damage).write_bytes(b"")
    with pytest.raises(ReknitError, match="does not hold a teacher's targets"):
        DistillationTargets.open(tmp_path)
