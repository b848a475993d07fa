"""Rankings that need no model of their own: fused ones and random ones."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from reknit.data.retrieval_set import RetrievalSet
from reknit.errors import ReknitError
from reknit.evaluation.ranking import Run, ranking


def reciprocal_rank_fusion(runs: Sequence[Run], k: int = 60, weights: Sequence[float] | None = None) -> Run:
    """Sum of weight / (k + rank) over the runs, rank 1 being the best (Cormack, Clarke and Buettcher, SIGIR 2009).

    A document that a run does not hold gets nothing from it. Only ranks count: scores of different runs are never
    compared. Every query of any run is in the result. Raises ReknitError on no runs or a wrong number of weights.
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
            for rank, document in enumerate(ranking(scores), start=1):
                sums[document] = sums.get(document, 0.0) + factor / (k + rank)
    return {query: {document: sums[document] for document in ranking(sums)} for query, sums in fused.items()}


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
