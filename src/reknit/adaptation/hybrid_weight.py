"""How much the vectors weigh in hybrid search: chosen on the probe, without labels."""

from __future__ import annotations

import numpy as np

from reknit.data.retrieval_set import RetrievalSet
from reknit.evaluation.hybrid_weights import HYBRID_WEIGHTS, values_by_weight
from reknit.evaluation.retrieval import vectors_of
from reknit.evaluation.significance import nearest_as_good
from reknit.models.encode_texts import EncodeTexts
from reknit.retrieval.bm25 import BM25
from reknit.retrieval.fusion import EQUAL_PARTS
from reknit.retrieval.hybrid import candidates


def hybrid_values(
    collection: RetrievalSet, encode: EncodeTexts, metric: str = "nDCG@10", *, split_identifiers: bool = False
) -> np.ndarray:
    """[weights, queries] `metric` of the hybrid at each of HYBRID_WEIGHTS.

    split_identifiers: as for `BM25`; a search of users' questions splits them.
    """
    bm25 = BM25(collection.documents, split_identifiers=split_identifiers)
    return values_by_weight(collection, *candidates(collection, bm25, *vectors_of(collection, encode)), metric)


def choose_hybrid_weight(
    collection: RetrievalSet, encode: EncodeTexts, prior: float = EQUAL_PARTS, metric: str = "nDCG@10"
) -> tuple[float, dict[float, float]]:
    """The dense ranking's weight in the hybrid (BM25 has 1 - weight), and the mean of `metric` at each that was tried.

    collection: the probe, its shared words dropped. prior: taken where the probe does not surely say otherwise.

    Equal weights let the weaker ranking drag the stronger one down; the probe, which needs no labels, knows which is
    which. It should be as large as the collections that are searched: in a small one vectors look better than they
    are. Of the weights that are not surely worse than the best one (by two standard errors), the one nearest to the
    prior is taken, for the probe's queries are not those of users; equal parts are right for most collections.
    """
    values = hybrid_values(collection, encode, metric)
    reached = dict(zip(HYBRID_WEIGHTS, values.mean(axis=1).tolist(), strict=True))
    return nearest_as_good(HYBRID_WEIGHTS, values, prior), reached
