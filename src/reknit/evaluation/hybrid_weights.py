"""What a hybrid of words and vectors reaches at each weight of the vectors."""

from __future__ import annotations

import numpy as np

from reknit.data.retrieval_set import RetrievalSet
from reknit.evaluation.metrics import values_of
from reknit.retrieval.fusion import fuse
from reknit.retrieval.ranking import Rankings

HYBRID_WEIGHTS = tuple(step / 10 for step in range(1, 10))


def values_by_weight(
    collection: RetrievalSet, by_words: Rankings, by_vectors: Rankings, metric: str = "nDCG@10"
) -> np.ndarray:
    """[weights, queries] `metric` of the hybrid at each of HYBRID_WEIGHTS of the vectors' side."""
    return np.array([values_of(fuse(by_words, by_vectors, weight), collection, metric) for weight in HYBRID_WEIGHTS])
