"""The retrieval probe that runs while a model trains, and the choices made by it without labels."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from reknit.data.retrieval_set import RetrievalSet
from reknit.evaluation.bm25 import BM25
from reknit.evaluation.fusion import convex_combination
from reknit.evaluation.metrics import mean, per_query
from reknit.evaluation.retrieval import Encode, dense_search
from reknit.evaluation.significance import as_good_as_the_best

HYBRID_WEIGHTS = tuple(step / 10 for step in range(1, 10))


def smaller(collection: RetrievalSet, documents: int) -> RetrievalSet:
    """The collection with at most `documents` documents: all relevant ones, then the first others."""
    relevant = {document for grades in collection.qrels.values() for document, grade in grades.items() if grade > 0}
    others = [document for document in collection.documents if document not in relevant]
    kept = relevant.union(others[: max(0, documents - len(relevant))])
    texts = {document: text for document, text in collection.documents.items() if document in kept}
    return RetrievalSet(collection.name, texts, collection.queries, collection.qrels, collection.notes)


def retrieval_probe(collection: RetrievalSet, encode: Encode) -> Callable[[], dict[str, float]]:
    """A function that scores `encode` as it is at the time of the call: {metric: mean over queries}."""

    def probe() -> dict[str, float]:
        values = per_query(dense_search(collection, encode), collection.qrels)
        return {name: mean(of_queries) for name, of_queries in values.items()}

    return probe


def choose_hybrid_weight(collection: RetrievalSet, encode: Encode, metric: str = "nDCG@10") -> float:
    """The dense ranking's weight in the hybrid (BM25 has 1 - weight) that is best on `collection`.

    Equal weights let the weaker ranking drag the stronger one down; the probe, which needs no labels, knows which is
    which. It should be as large as the collections that are searched: in a small one vectors look better than they
    are. But its queries are words of the corpus itself, which BM25 finds more easily than those of users: of the
    weights that are as good as the best (`as_good_as_the_best`), the largest is taken.
    """
    dense = dense_search(collection, encode)
    text = BM25(collection.documents).search(collection.queries, 100)
    reached = []
    for weight in HYBRID_WEIGHTS:
        run = convex_combination([text, dense], weights=[1 - weight, weight])
        values = per_query(run, collection.qrels)[metric]
        reached.append([values[query] for query in collection.queries])
    good = as_good_as_the_best(np.array(reached))
    return max(weight for weight, is_good in zip(HYBRID_WEIGHTS, good, strict=True) if is_good)
