"""What a search system reaches at each weight of its vectors."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from reknit.data.retrieval_set import RetrievalSet
from reknit.evaluation.metrics import values_of
from reknit.retrieval.rank_systems import rank_systems
from reknit.retrieval.sides import Side
from reknit.retrieval.system import SearchSystem

HYBRID_WEIGHTS = tuple(step / 10 for step in range(1, 10))


def values_by_weight(
    collection: RetrievalSet,
    sides: Mapping[str, Side],
    systems: Mapping[str, SearchSystem],
    metric: str = "nDCG@10",
) -> dict[str, np.ndarray]:
    """{system: [weights, queries]} `metric` of each system at each of HYBRID_WEIGHTS of all its vectors together."""
    at_weights = {
        f"{name} {weight:.1f}": system.at(weight) for name, system in systems.items() for weight in HYBRID_WEIGHTS
    }
    runs = rank_systems(collection, sides, at_weights)
    return {
        name: np.array([values_of(runs[f"{name} {weight:.1f}"], collection, metric) for weight in HYBRID_WEIGHTS])
        for name in systems
    }
