"""When the new tokenizer is worth having."""

from __future__ import annotations

import numpy as np
import pytest

from reknit.evaluation.scores import Evaluation, Score
from reknit.vocabulary.verdict import decide

TEXTS = 200


def evaluation(dataset: str, old: np.ndarray, new: np.ndarray) -> Evaluation:
    values = {"old": old, "new": new}
    rows = {name: {"nDCG@10": Score(float(found.mean()), (0.0, 1.0))} for name, found in values.items()}
    per_query = {
        name: {"nDCG@10": {f"q{n}": float(value) for n, value in enumerate(found)}} for name, found in values.items()
    }
    return Evaluation(dataset, len(old), 100, rows=rows, per_query=per_query)


def search(change: float, noise: float = 0.05, dataset: str = "tiny") -> Evaluation:
    rng = np.random.default_rng(0)
    old = rng.uniform(0.3, 0.7, 400)
    return evaluation(dataset, old, old + change + noise * rng.standard_normal(400))


def tokens(saved: float) -> tuple[np.ndarray, np.ndarray]:
    before = np.random.default_rng(1).integers(50, 150, TEXTS).astype(float)
    return before, np.round(before * (1 - saved))


@pytest.mark.parametrize(
    ("change", "saved", "use", "words"),
    [
        (0.0, 0.3, "new", "fewer tokens"),
        (0.1, -0.1, "new", "though texts have 10.1% more tokens (95% interval 9.7% to 10.4%)"),
        (-0.1, 0.3, "old", "so it costs more than 0.02"),
        (-0.018, 0.3, "old", "may cost more than 0.02"),
        (0.0, 0.0, "old", "nothing is gained"),
        (0.0, -0.2, "old", "nothing is gained"),
    ],
)
def test_what_is_gained_and_what_it_costs(change: float, saved: float, use: str, words: str) -> None:
    found = decide([search(change)], *tokens(saved), margin=0.02, seed=0)
    assert found.use == use
    assert words in found.sentence
    assert found.sentence.startswith({"new": "Use the new", "old": "Keep the old"}[use])
    assert found.ci95[0] <= found.difference <= found.ci95[1]
    assert ("so it costs at most" in found.sentence) == (use == "new" and saved > 0)


def test_a_wider_margin_takes_what_a_narrow_one_refuses() -> None:
    uses = [decide([search(-0.03)], *tokens(0.3), margin=margin, seed=0).use for margin in (0.01, 0.1)]
    assert uses == ["old", "new"]


def test_labels_decide_before_the_probe() -> None:
    found = decide([search(-0.2, dataset="probe"), search(0.0)], *tokens(0.3), margin=0.02, seed=0)
    assert found.use == "new"
    assert found.decided_by == "tiny"


def test_one_harmed_collection_is_enough() -> None:
    found = decide([search(0.2), search(-0.1, dataset="other")], *tokens(0.3), margin=0.02, seed=0)
    assert found.use == "old"
    assert "on other it is worse" in found.sentence
