"""Hybrid search: words and vectors together, every candidate scored exactly by both."""

from __future__ import annotations

import numpy as np

from reknit.data.retrieval_set import LEFT_OUT, RetrievalSet
from reknit.retrieval.bm25 import BM25
from reknit.retrieval.ranking import Rankings, top_places

_SCORES_AT_ONCE = 16_000_000


def candidates(
    collection: RetrievalSet, bm25: BM25, documents: np.ndarray, queries: np.ndarray, top: int = 100
) -> tuple[Rankings, Rankings]:
    """The `top` best of each query by BM25 and the `top` best by vectors, put together: (BM25's scores, dot products).

    Both runs hold the same documents, none of grade LEFT_OUT, each with its exact score; that by BM25 is 0 where no
    word is shared. Cut lists would know no score for what only the other found, and a document that just missed one
    would lose all of it.
    bm25: of the collection's documents. documents, queries: [documents, dim] and [queries, dim] in its order.
    """
    ids = list(collection.documents)
    order = sorted(range(len(ids)), key=ids.__getitem__)
    ids = [ids[place] for place in order]
    table = np.ascontiguousarray(documents[order].T)
    names, texts = list(collection.queries), list(collection.queries.values())
    by_words: Rankings = {}
    by_vectors: Rankings = {}
    at_once = max(1, _SCORES_AT_ONCE // len(ids))
    for first in range(0, len(names), at_once):
        rows = slice(first, first + at_once)
        scored = zip(names[rows], bm25.scores(texts[rows]), queries[rows] @ table, strict=True)
        for name, lexical, dense in scored:
            shared = np.flatnonzero(lexical > 0)
            found = np.union1d(shared[top_places(lexical[shared], top)], top_places(dense, top))
            # A query that is a document is so near to itself that all others would look alike.
            grades = collection.qrels.get(name, {})
            kept = [place for place in found if grades.get(ids[place]) != LEFT_OUT]
            by_words[name] = {ids[place]: float(lexical[place]) for place in kept}
            by_vectors[name] = {ids[place]: float(dense[place]) for place in kept}
    return by_words, by_vectors
