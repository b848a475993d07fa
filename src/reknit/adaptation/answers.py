"""Users' queries among the targets of a teacher: what answers them, and how many lessons they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np

ANSWERED = 0.5
"""Of the probability that a query's answers get where users gave some."""
ASKED_SHARE, MOST_REPEATED = 0.25, 8
"""Of the queries that train, those that users asked are at least this share; how often one is repeated for that."""
Answer = tuple[list[int], float]
"""The places of a document's passages among those that are ranked, and its weight."""


def mix_in(
    answers: Mapping[str, Sequence[Answer]], queries: Sequence[str], ranked: np.ndarray, probabilities: np.ndarray
) -> None:
    """Give the answers of the first queries, in place, ANSWERED of the probability, by their weights; the rest stays
    the teacher's: who clicked on one of ten that are right says nothing against the others.

    Of a document's passages the one that the teacher ranks highest gets its part; where it ranks none, the first takes
    the place of what it ranks last. Where there is no such place left, the answers of least weight are left out.
    """
    for row, query in enumerate(queries):
        column_of: dict[int, int] = {place: column for column, place in reversed(list(enumerate(ranked[row].tolist())))}
        gains: dict[int, float] = {}  # {place: weight}
        for places, weight in sorted(answers.get(query, ()), key=lambda answer: -answer[1]):
            best = min(places, key=partial(_column, column_of))
            gains[best] = gains.get(best, 0.0) + weight
        free = [column for column in range(ranked.shape[1]) if int(ranked[row, column]) not in gains]
        for place in gains:
            if place not in column_of and free:
                column_of[place] = column = free.pop()
                ranked[row, column], probabilities[row, column] = place, 0.0
        gains = {place: weight for place, weight in gains.items() if place in column_of}
        if gains:
            left = float(probabilities[row].sum())  # nothing where answers have taken every place
            share = ANSWERED if left > 0 else 1.0
            probabilities[row] *= (1 - share) / max(left, 1e-12)
            for place, weight in gains.items():
                probabilities[row, column_of[place]] += share * weight / sum(gains.values())


def _column(column_of: Mapping[int, int], place: int) -> float:
    """Where the teacher ranks the place; last where it does not."""
    return column_of.get(place, float("inf"))


def repeated(asked: int, mined: int) -> np.ndarray:
    """Rows in which the users' queries, which come first, are at least ASKED_SHARE of all, unless they would have to be
    repeated too often."""
    times = round(ASKED_SHARE / (1 - ASKED_SHARE) * mined / asked) if asked else 1
    rows: np.ndarray = np.concatenate(
        [np.repeat(np.arange(asked), min(max(times, 1), MOST_REPEATED)), asked + np.arange(mined)]
    )
    return rows
