"""What search systems find in a collection: every document scored by every side."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from reknit.data.retrieval_set import LEFT_OUT, RetrievalSet
from reknit.errors import ReknitError
from reknit.retrieval.fusion import standardised
from reknit.retrieval.ranking import Rankings, top_places
from reknit.retrieval.sides import Side
from reknit.retrieval.system import SearchSystem

_SCORES_AT_ONCE = 16_000_000


def rank_systems(
    collection: RetrievalSet, sides: Mapping[str, Side], systems: Mapping[str, SearchSystem], top: int = 100
) -> dict[str, Rankings]:
    """What each system finds: {system: rankings}, the `top` best of each of its sides, fused.

    sides: of this collection. No document of grade LEFT_OUT stands in a ranking. Equal scores are ordered by document
    id. Raises ReknitError for a system with a side that is not in `sides`.
    """
    ids = sorted(collection.documents)
    found: dict[str, Rankings] = {name: {} for name in systems}
    for query, name, places, scores in ranked_places(collection, sides, systems, top):
        found[name][query] = {ids[place]: score for place, score in zip(places.tolist(), scores.tolist(), strict=True)}
    return found


def ranked_places(
    collection: RetrievalSet, sides: Mapping[str, Side], systems: Mapping[str, SearchSystem], top: int = 100
) -> Iterator[tuple[str, str, np.ndarray, np.ndarray]]:
    """(query, system, places, scores) of what `rank_systems` returns at once, for many systems over many queries.

    places: of the documents in ascending order of their ids, the best first.
    """
    for name, system in systems.items():
        unknown = [side for side in system.weights if side not in sides]
        if unknown:
            raise ReknitError(f"system {name!r} searches by {unknown}: there are {sorted(sides)}")
    ids, names = sorted(collection.documents), list(collection.queries)
    left_out = _left_out(collection, ids)
    at_once = max(1, _SCORES_AT_ONCE // (len(ids) * max(1, len(sides))))
    for first in range(0, len(names), at_once):
        rows = slice(first, first + at_once)
        ranker = _Ranker(sides, rows, left_out[rows], top)
        for name, system in systems.items():
            for query, (places, scores) in zip(names[rows], ranker.ranked(system), strict=True):
                yield query, name, places, scores


class _Ranker:
    """All systems on some of the queries. What several systems need is computed once."""

    def __init__(self, sides: Mapping[str, Side], rows: slice, left_out: Sequence[np.ndarray], top: int) -> None:
        self._sides, self._rows, self._left_out, self._top = sides, rows, left_out, top
        self._scores: dict[str, np.ndarray] = {}
        self._standing: dict[tuple[str, ...], list[tuple[np.ndarray, np.ndarray]]] = {}

    def ranked(self, system: SearchSystem) -> list[tuple[np.ndarray, np.ndarray]]:
        """For each query (places, scores), the best first."""
        weights = np.array(list(system.weights.values()), dtype=np.float64)
        names = tuple(system.weights)
        if names not in self._standing:
            for name in names:
                if name not in self._scores:
                    self._scores[name] = self._sides[name].scores(self._rows)
            self._standing[names] = self._candidates(names, [self._scores[name] for name in names])
        found = [_best_first(places, weights @ scores) for places, scores in self._standing[names]]
        if system.feedback is None:
            return found
        feedback = system.feedback
        hits = [places[: feedback.hits] for places, _ in found]
        again = [self._sides[name].scores_after(self._rows, hits, feedback) for name in names]
        return [_best_first(places, weights @ scores) for places, scores in self._candidates(names, again)]

    def _candidates(self, names: Sequence[str], of_sides: Sequence[np.ndarray]) -> list[tuple[np.ndarray, np.ndarray]]:
        """For each query (ascending places of the best by each side, [sides, places] their standard scores by all
        sides)."""
        kept = []
        for row, left_out in enumerate(self._left_out):
            best = [self._best(name, scores[row]) for name, scores in zip(names, of_sides, strict=True)]
            places = np.unique(np.concatenate(best))
            # A query that is a document is so near to itself that all others would look alike.
            places = np.setdiff1d(places, left_out, assume_unique=True) if left_out.size else places
            kept.append((places, standardised(np.stack([scores[row][places] for scores in of_sides]))))
        return kept

    def _best(self, name: str, scores: np.ndarray) -> np.ndarray:
        if not self._sides[name].zero_is_no_hit:
            return top_places(scores, self._top)
        hits = np.flatnonzero(scores > 0)
        best: np.ndarray = hits[top_places(scores[hits], self._top)]
        return best


def _best_first(places: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    order = np.argsort(-scores, kind="stable")
    return places[order], scores[order]


def _left_out(collection: RetrievalSet, ids: Sequence[str]) -> list[np.ndarray]:
    """For each query the places of the documents that stand in no ranking of it."""
    place = {document: number for number, document in enumerate(ids)}
    return [
        np.array(
            [
                place[document]
                for document, grade in collection.qrels.get(query, {}).items()
                if grade == LEFT_OUT and document in place
            ],
            dtype=np.int64,
        )
        for query in collection.queries
    ]
