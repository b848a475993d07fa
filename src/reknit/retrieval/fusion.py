"""Rankings that need no model of their own: fused ones and random ones."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from reknit.data.retrieval_set import RetrievalSet
from reknit.errors import ReknitError
from reknit.retrieval.ranking import Rankings, ranking

# The vectors' weight where nothing speaks for another: right for most collections (docs/adaptation.md).
EQUAL_PARTS = 0.5


def fuse(by_words: Rankings, by_vectors: Rankings, dense_weight: float) -> Rankings:
    """Weighted mean of each query's standard scores (mean 0 and deviation 1 over its documents) by the square root of
    BM25 and by vectors, which have `dense_weight` of 1.

    BM25's scores are skewed, a few documents far above the many: without the root the best weight would differ more
    from collection to collection (docs/adaptation.md). Bruch, Gai and Ingber (TOIS 2023,
    https://arxiv.org/abs/2210.11934) find weighted scores better than reciprocal rank fusion, also when the weight is
    chosen on few queries. Both runs hold the same documents for the same queries, as those of `candidates` in
    `reknit.retrieval.hybrid` do. Raises ReknitError when they do not.
    """
    fused: Rankings = {}
    if by_words.keys() != by_vectors.keys():
        raise ReknitError("fusion got runs of different queries: give both sides' scores of the same candidates")
    for query, words in by_words.items():
        documents = list(words)
        if words.keys() != by_vectors[query].keys():
            raise ReknitError(f"fusion got different documents for query {query!r}: give both sides' scores of each")
        lexical = _standardised(np.sqrt([words[document] for document in documents]))
        dense = _standardised(np.array([by_vectors[query][document] for document in documents]))
        scores = (1 - dense_weight) * lexical + dense_weight * dense
        sums = dict(zip(documents, scores.tolist(), strict=True))
        fused[query] = {document: sums[document] for document in ranking(sums)}
    return fused


def _standardised(scores: np.ndarray) -> np.ndarray:
    return (scores - scores.mean()) / max(scores.std(), 1e-6) if scores.size else scores


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
