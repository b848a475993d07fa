"""The sides of a search system: each scores every document of a collection for each of its queries."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import final

import numpy as np

from reknit.data.retrieval_set import RetrievalSet
from reknit.retrieval.bm25 import BM25
from reknit.retrieval.dense import checked_vectors
from reknit.retrieval.feedback import Feedback, expanded_words, moved_vector


class Side(ABC):
    """Documents are in ascending order of their ids, queries in the collection's order.

    zero_is_no_hit: whether a document with a score of 0 was not found.
    """

    zero_is_no_hit = False

    @abstractmethod
    def scores(self, rows: slice) -> np.ndarray:
        """[queries of `rows`, documents] float32; larger is better."""

    @abstractmethod
    def scores_after(self, rows: slice, hits: Sequence[np.ndarray], feedback: Feedback) -> np.ndarray:
        """As `scores`, of a second search. hits: for each query of `rows` the places of the documents that the first
        search found best."""


@final
class WordSide(Side):
    """The square root of BM25: its scores are skewed, and the root makes them fit to be added to others (`fuse`)."""

    zero_is_no_hit = True

    def __init__(self, collection: RetrievalSet, bm25: BM25) -> None:
        """bm25: of the collection's documents."""
        self._bm25 = bm25
        self._queries = list(collection.queries.values())
        self._documents = [collection.documents[document] for document in sorted(collection.documents)]
        self._words: dict[int, list[str]] = {}

    def scores(self, rows: slice) -> np.ndarray:
        found: np.ndarray = np.sqrt(self._bm25.scores(self._queries[rows]))
        return found

    def scores_after(self, rows: slice, hits: Sequence[np.ndarray], feedback: Feedback) -> np.ndarray:
        weighted = [
            expanded_words(self._bm25.words(query), [self._words_of(place) for place in places.tolist()], feedback)
            for query, places in zip(self._queries[rows], hits, strict=True)
        ]
        found: np.ndarray = np.sqrt(self._bm25.weighted_scores(weighted))
        return found

    def _words_of(self, place: int) -> list[str]:
        if place not in self._words:
            self._words[place] = self._bm25.words(self._documents[place])
        return self._words[place]


@final
class VectorSide(Side):
    """The dot product with the vectors of one model."""

    def __init__(
        self,
        collection: RetrievalSet,
        documents: np.ndarray,
        queries: np.ndarray,
        others: Iterable[VectorSide] = (),
    ) -> None:
        """documents, queries: [documents, dim] and [queries, dim] in the collection's order. others: sides of the same
        collection; one with the same documents shares them, as a model with query expansion does with the model
        without. Raises ReknitError when the vectors do not fit the collection or each other, or a value is not
        finite."""
        documents, queries = checked_vectors(documents, len(collection.documents), queries, len(collection.queries))
        ids = list(collection.documents)
        order = sorted(range(len(ids)), key=ids.__getitem__)
        table = np.ascontiguousarray(documents[order].T)
        same = (other._table for other in others if np.array_equal(other._table, table))
        self._table: np.ndarray = next(same, table)
        self._queries = queries

    def scores(self, rows: slice) -> np.ndarray:
        found: np.ndarray = self._queries[rows] @ self._table
        return found

    def scores_after(self, rows: slice, hits: Sequence[np.ndarray], feedback: Feedback) -> np.ndarray:
        asked = [
            moved_vector(query, self._table[:, places].T, feedback)
            for query, places in zip(self._queries[rows], hits, strict=True)
        ]
        found: np.ndarray = np.array(asked, dtype=np.float32).reshape(-1, len(self._table)) @ self._table
        return found
