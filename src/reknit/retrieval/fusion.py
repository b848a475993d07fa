"""Rankings that need no model of their own: fused ones and random ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from reknit.data.retrieval_set import RetrievalSet
from reknit.errors import ReknitError
from reknit.retrieval.ranking import Rankings, ranking

# The vectors' weight where nothing speaks for another: right for most collections (docs/adaptation.md).
EQUAL_PARTS = 0.5


def fuse(sides: Sequence[Rankings], weights: Sequence[float]) -> Rankings:
    """Weighted sum of each query's standard scores (mean 0 and deviation 1 over its documents) by each side.

    The side of words comes as the square root of BM25 (`rooted`): its scores are skewed, a few documents far above the
    many, and without the root the best weight would differ more from collection to collection (docs/adaptation.md).
    Bruch, Gai and Ingber (TOIS 2023, https://arxiv.org/abs/2210.11934) find weighted scores better than reciprocal rank
    fusion, also when the weight is chosen on few queries. All sides hold the same documents for the same queries.
    Raises ReknitError when they do not, or when there is not one weight for each side.
    """
    if not sides or len(sides) != len(weights):
        raise ReknitError(f"fusion got {len(sides)} sides and {len(weights)} weights: give one weight for each side")
    fused: Rankings = {}
    if any(side.keys() != sides[0].keys() for side in sides):
        raise ReknitError("fusion got runs of different queries: give all sides' scores of the same candidates")
    for query, first in sides[0].items():
        documents = list(first)
        if any(side[query].keys() != first.keys() for side in sides):
            raise ReknitError(f"fusion got different documents for query {query!r}: give all sides' scores of each")
        scores = np.array([[side[query][document] for document in documents] for side in sides], dtype=np.float64)
        sums = dict(zip(documents, (np.asarray(weights) @ standardised(scores)).tolist(), strict=True))
        fused[query] = {document: sums[document] for document in ranking(sums)}
    return fused


def rooted(words: Mapping[str, float]) -> dict[str, float]:
    """Scores by BM25 as `fuse` takes them: their square roots."""
    return dict(zip(words, np.sqrt(list(words.values())).tolist(), strict=True))


def standardised(scores: np.ndarray) -> np.ndarray:
    """[sides, documents] scores -> float64 of the same shape, each side's with mean 0 and deviation 1; 0 for a side
    that scores all documents alike."""
    if not scores.shape[1]:
        return scores.astype(np.float64)
    scores = scores.astype(np.float64)
    deviations = np.maximum(scores.std(axis=1, keepdims=True), 1e-6)
    standard: np.ndarray = (scores - scores.mean(axis=1, keepdims=True)) / deviations
    return standard


def reciprocal_rank_fusion(runs: Sequence[Rankings], constant: int = 60) -> Rankings:
    """Sum of 1 / (constant + rank) over the runs (Cormack, Clarke and Büttcher, SIGIR 2009)."""
    fused: Rankings = {}
    for run in runs:
        for query, scores in run.items():
            sums = fused.setdefault(query, {})
            for rank, document in enumerate(ranking(scores), 1):
                sums[document] = sums.get(document, 0.0) + 1 / (constant + rank)
    return fused


def random_rankings(collection: RetrievalSet, seed: int, top: int = 100) -> Rankings:
    """`top` documents per query drawn without replacement: what a system that knows nothing scores."""
    rng = np.random.default_rng(seed)
    ids = sorted(collection.documents)
    top = min(top, len(ids))
    run: Rankings = {}
    for query in collection.queries:
        drawn = rng.choice(len(ids), size=top, replace=False)
        run[query] = {ids[place]: float(top - rank) for rank, place in enumerate(drawn)}
    return run
