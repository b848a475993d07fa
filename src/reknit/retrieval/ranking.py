"""Runs: the ranked documents of each query, and the one rule for ties that everything here follows."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

Rankings = dict[str, dict[str, float]]
"""{query id: {document id: score}}, a larger score is better; a query without results has an empty ranking."""


def ranking(scores: Mapping[str, float]) -> list[str]:
    """Document ids, best first; equal scores in ascending order of the document id."""
    return sorted(scores, key=lambda document: (-scores[document], document))


def top_places(scores: np.ndarray, top: int, threshold: float | None = None) -> np.ndarray:
    """Places of the `top` largest of [n] scores, best first; equal scores in ascending order of the place.

    threshold: the value of the `top`-th largest score where the caller knows it. Scores must not be NaN.
    """
    count = scores.shape[0]
    if top >= count:
        candidates = np.arange(count)
    else:
        if threshold is None:
            threshold = np.partition(scores, count - top)[count - top]
        candidates = np.flatnonzero(scores >= threshold)
    return candidates[np.argsort(-scores[candidates], kind="stable")][:top]
