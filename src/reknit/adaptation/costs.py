"""What search systems cost: the time of a query, the time that making them takes, the size of their index."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np

from reknit.data.retrieval_set import RetrievalSet
from reknit.models.encode_texts import EncodeTexts
from reknit.retrieval.bm25 import BM25
from reknit.retrieval.feedback import Feedback, expanded_words
from reknit.retrieval.system import WORDS, SearchSystem
from reknit.runs.result import SystemCost

_QUERIES, _PASSAGES = 15, 32


@dataclass(frozen=True)
class SideCost:
    """milliseconds: of a query. again: of a second search by the hits of the first. seconds: of encoding all passages.
    megabytes: of their vectors."""

    milliseconds: float
    again: float
    seconds: float = 0.0
    megabytes: float = 0.0


def side_costs(encoders: Mapping[str, EncodeTexts], probe: RetrievalSet, passages: int) -> dict[str, SideCost]:
    """Of words and of each model's vectors, measured on some of the probe's queries, one at a time, and on some of its
    documents.

    encoders: of each side but words; they must not remember what they have encoded. passages: how many there are to
    search; scoring and encoding are taken to grow with their number.
    """
    queries, texts = list(probe.queries.values())[:_QUERIES], list(probe.documents.values())
    growth, some = passages / len(texts), texts[:_PASSAGES]
    for encode in encoders.values():
        encode(some[:1], "document")  # the first call prepares what later ones use
    bm25 = BM25(probe.documents)
    costs = {
        WORDS: SideCost(
            growth * _median(queries, lambda query: bm25.scores([query])),
            _median(queries, lambda query: _expanded(query, texts, bm25))
            + growth * _median(queries, lambda query: bm25.weighted_scores([_expanded(query, texts, bm25)])),
        )
    }
    for side, encode in encoders.items():
        began = time.perf_counter()
        dim = encode(some, "document").shape[1]
        seconds = (time.perf_counter() - began) * passages / len(some)
        table, row = np.ones((dim, len(texts)), dtype=np.float32), np.ones((1, dim), dtype=np.float32)
        scoring = growth * _scoring(queries, row, table)
        costs[side] = SideCost(scoring + _encoding(queries, encode), scoring, seconds, passages * dim * 4 / 1e6)
    return costs


def milliseconds_of(systems: Mapping[str, SearchSystem], costs: Mapping[str, SideCost]) -> dict[str, float]:
    """{system: milliseconds of a query}, those of its sides together."""
    return {
        name: sum(costs[side].milliseconds + (costs[side].again if system.feedback else 0.0) for side in system.weights)
        for name, system in systems.items()
    }


def system_costs(
    systems: Mapping[str, SearchSystem],
    costs: Mapping[str, SideCost],
    *,
    trained: Mapping[str, float],
    index: Path,
    indexed: Sequence[str],
) -> dict[str, SystemCost]:
    """trained: seconds of training of each side that was trained. index: the folder of the index that was built, of
    words and the vectors of the sides `indexed`."""
    of_words = None
    if index.is_dir():
        size = sum(file.stat().st_size for file in index.rglob("*") if file.is_file()) / 1e6
        of_words = max(0.0, size - sum(costs[side].megabytes for side in indexed))
    milliseconds = milliseconds_of(systems, costs)
    return {
        name: SystemCost(
            milliseconds=milliseconds[name],
            megabytes=None if of_words is None else of_words + sum(costs[side].megabytes for side in system.weights),
            seconds=sum(costs[side].seconds + trained.get(side, 0.0) for side in system.weights),
        )
        for name, system in systems.items()
    }


def _expanded(query: str, texts: Sequence[str], bm25: BM25) -> dict[str, float]:
    """As much work as taking up the words of the hits."""
    feedback = Feedback()
    return expanded_words(bm25.words(query), [bm25.words(text) for text in texts[: feedback.hits]], feedback)


def _scoring(queries: Sequence[str], row: np.ndarray, table: np.ndarray) -> float:
    return _median(queries, lambda _: row @ table)


def _encoding(queries: Sequence[str], encode: EncodeTexts) -> float:
    return _median(queries, lambda query: encode([query], "query"))


def _median(queries: Sequence[str], work: Callable[[str], object]) -> float:
    """Milliseconds."""
    taken = []
    for query in queries:
        began = time.perf_counter()
        work(query)
        taken.append(1000 * (time.perf_counter() - began))
    return median(taken)
