"""Exact dense retrieval: every query against every document."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from reknit.errors import ReknitError
from reknit.retrieval.ranking import Rankings, top_places

SCORES_IN_MEMORY = 16_000_000  # float32 scores held at once: 64 MB


def dense_rankings(
    document_ids: Sequence[str],
    document_vectors: np.ndarray,
    query_ids: Sequence[str],
    query_vectors: np.ndarray,
    top: int = 100,
) -> Rankings:
    """The `top` documents with the largest dot product for each query; cosine when the rows have length 1.

    document_vectors: [documents, dim] and query_vectors: [queries, dim], one row per id, in float32. Equal scores are
    ordered by document id. Raises ReknitError when rows and ids do not match or a value is not finite.
    """
    documents, queries = checked_vectors(document_vectors, len(document_ids), query_vectors, len(query_ids))
    by_id = sorted(range(len(document_ids)), key=lambda place: document_ids[place])
    ids = [document_ids[place] for place in by_id]
    table = torch.from_numpy(np.ascontiguousarray(documents[by_id].T))
    top = min(top, len(ids))
    block = max(1, SCORES_IN_MEMORY // max(1, len(ids)))
    run: Rankings = {}
    for start in range(0, len(query_ids), block):
        scores = torch.from_numpy(queries[start : start + block]) @ table
        thresholds = scores.topk(top, dim=1).values[:, -1].numpy()
        for query, row, threshold in zip(query_ids[start : start + block], scores.numpy(), thresholds, strict=True):
            run[query] = {ids[place]: float(row[place]) for place in top_places(row, top, threshold)}
    return run


def checked_vectors(
    documents: np.ndarray, document_count: int, queries: np.ndarray, query_count: int
) -> tuple[np.ndarray, np.ndarray]:
    """Both in float32. Raises ReknitError when there is not one row for each, the widths differ, or a value is not
    finite."""
    documents, queries = _checked(documents, document_count, "document"), _checked(queries, query_count, "query")
    if documents.shape[1] != queries.shape[1]:
        raise ReknitError(
            f"document vectors have {documents.shape[1]} dimensions but query vectors have {queries.shape[1]}: "
            "encode both with the same model"
        )
    return documents, queries


def _checked(vectors: np.ndarray, rows: int, kind: str) -> np.ndarray:
    vectors = np.ascontiguousarray(vectors, dtype=np.float32)
    if vectors.ndim != 2 or vectors.shape[0] != rows:
        raise ReknitError(
            f"{kind} vectors have the shape {list(vectors.shape)} for {rows} texts: a model must return one row for "
            "each text"
        )
    if rows == 0:
        raise ReknitError(f"there are no {kind} vectors to search: give at least one text")
    broken = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
    if broken.size:
        raise ReknitError(
            f"the model gives NaN or infinity for {broken.size} of {rows} {kind} texts (first: number {broken[0]}): "
            "the model is broken, do not use it"
        )
    return vectors
