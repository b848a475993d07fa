"""How well many search systems do on each query: what a choice among them is made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from reknit.data.retrieval_set import RetrievalSet
from reknit.retrieval.rank_systems import ranked_places
from reknit.retrieval.sides import Side
from reknit.retrieval.system import SearchSystem

HYBRID_WEIGHTS = tuple(step / 10 for step in range(1, 10))
"""The weights of all vectors together, beside words, that are tried in a hybrid."""
_DISCOUNTS = 1 / np.log2(np.arange(2, 12))


def ndcg_values(
    collection: RetrievalSet, sides: Mapping[str, Side], systems: Mapping[str, SearchSystem]
) -> dict[str, np.ndarray]:
    """{system: [queries] nDCG@10}, in the collection's order of queries; the same as `per_query` makes of whole
    rankings."""
    place = {document: number for number, document in enumerate(sorted(collection.documents))}
    grades = {
        query: {place[document]: grade for document, grade in collection.qrels[query].items() if grade > 0}
        for query in collection.queries
    }
    ideal = {query: _gain(sorted(of_query.values(), reverse=True)) for query, of_query in grades.items()}
    found: dict[str, list[float]] = {name: [] for name in systems}
    for query, name, places, _ in ranked_places(collection, sides, systems):
        reached = _gain([grades[query].get(place, 0) for place in places[:10].tolist()])
        found[name].append(reached / ideal[query] if ideal[query] else 0.0)
    return {name: np.array(values) for name, values in found.items()}


def _gain(grades: Sequence[int]) -> float:
    """The discounted gain of the first ten."""
    first = np.array(grades[:10], dtype=np.float64)
    return float((first * _DISCOUNTS[: len(first)]).sum())


def values_by_weight(
    collection: RetrievalSet, sides: Mapping[str, Side], systems: Mapping[str, SearchSystem]
) -> dict[str, np.ndarray]:
    """{system: [weights, queries] nDCG@10} at each of HYBRID_WEIGHTS of all its vectors together."""
    at_weights = {
        f"{name} {weight:.1f}": system.at(weight) for name, system in systems.items() for weight in HYBRID_WEIGHTS
    }
    found = ndcg_values(collection, sides, at_weights)
    return {name: np.array([found[f"{name} {weight:.1f}"] for weight in HYBRID_WEIGHTS]) for name in systems}
