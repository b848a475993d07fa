"""Rankings that need no model of their own: fused ones and random ones."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from reknit.data.retrieval_set import RetrievalSet
from reknit.errors import ReknitError
from reknit.evaluation.ranking import Run, ranking

# What a document that a run holds gets at least, so that it stays above one that the run does not hold.
FOUND = 1e-3


def convex_combination(runs: Sequence[Run], weights: Sequence[float] | None = None) -> Run:
    """Weighted mean of the runs' scores, each brought to 0..1 within its query by its smallest and largest score.

    Bruch, Gai and Ingber (TOIS 2023, https://arxiv.org/abs/2210.11934) find this better than reciprocal rank fusion,
    also when the weight is chosen on few queries. A document that a run does not hold gets 0 from it; runs should be
    cut at one depth. weights: one per run, equal ones when None. Every query of any run is in the result. Raises
    ReknitError on no runs or when weights and runs do not match.
    """
    if not runs:
        raise ReknitError("fusion needs at least one run: give the rankings to fuse")
    factors = [1.0] * len(runs) if weights is None else list(weights)
    if len(factors) != len(runs):
        raise ReknitError(f"fusion got {len(runs)} runs but {len(factors)} weights: give one weight per run")
    fused: Run = {}
    for run, factor in zip(runs, factors, strict=True):
        for query, scores in run.items():
            sums = fused.setdefault(query, {})
            lowest, highest = min(scores.values(), default=0.0), max(scores.values(), default=0.0)
            for document, score in scores.items():
                share = (score - lowest) / (highest - lowest) if highest > lowest else 1.0
                value = factor / sum(factors) * (FOUND + (1.0 - FOUND) * share)
                sums[document] = sums.get(document, 0.0) + value
    return {query: {document: sums[document] for document in ranking(sums)} for query, sums in fused.items()}


def reciprocal_rank_fusion(runs: Sequence[Run], constant: int = 60) -> Run:
    """Sum of 1 / (constant + rank) over the runs (Cormack, Clarke and Büttcher, SIGIR 2009)."""
    fused: Run = {}
    for run in runs:
        for query, scores in run.items():
            sums = fused.setdefault(query, {})
            for rank, document in enumerate(ranking(scores), 1):
                sums[document] = sums.get(document, 0.0) + 1 / (constant + rank)
    return fused


def random_run(collection: RetrievalSet, seed: int, top: int = 100) -> Run:
    """`top` documents per query drawn without replacement: what a system that knows nothing scores."""
    rng = np.random.default_rng(seed)
    ids = sorted(collection.documents)
    top = min(top, len(ids))
    run: Run = {}
    for query in collection.queries:
        drawn = rng.choice(len(ids), size=top, replace=False)
        run[query] = {ids[place]: float(top - rank) for rank, place in enumerate(drawn)}
    return run
