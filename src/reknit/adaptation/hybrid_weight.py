"""How much the vectors weigh in hybrid search: chosen on the probe, without labels."""

from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np

from reknit.adaptation.candidate import Candidate
from reknit.data.retrieval_set import RetrievalSet
from reknit.evaluation.hybrid_weights import HYBRID_WEIGHTS, values_by_weight
from reknit.evaluation.retrieval import sides_of
from reknit.evaluation.significance import nearest_as_good
from reknit.models.encode_texts import EncodeTexts
from reknit.retrieval.fusion import EQUAL_PARTS
from reknit.retrieval.system import SearchSystem
from reknit.runs.config import RunConfig

logger = logging.getLogger("reknit")


def weigh(
    start: Candidate, adapted: Candidate, choosing: RetrievalSet, config: RunConfig
) -> tuple[Candidate, Candidate]:
    """(start, adapted) with their hybrid weights, chosen on `choosing`.

    Without a verdict nobody searches with the start model, so it gets none.
    """
    # A model made of nothing but this corpus has to show that it is any better than words are.
    prior = 0.0 if config.from_scratch else EQUAL_PARTS
    weight, reached = choose_hybrid_weight(choosing, adapted.encode_expanded, prior)
    beside = ""
    if config.verdict:
        start = replace(start, hybrid_weight=choose_hybrid_weight(choosing, start.encode_expanded, prior)[0])
        beside = f" (start model's {start.hybrid_weight:.1f})"
    by_weight = ", ".join(f"{one:.1f} {value:.3f}" for one, value in reached.items())
    logger.info("hybrid: weight of the vectors %.1f%s; nDCG@10 of the probe by weight: %s", weight, beside, by_weight)
    return start, replace(adapted, hybrid_weight=weight)


def hybrid_values(
    collection: RetrievalSet, encode: EncodeTexts, metric: str = "nDCG@10", *, split_identifiers: bool = False
) -> np.ndarray:
    """[weights, queries] `metric` of the hybrid at each of HYBRID_WEIGHTS.

    split_identifiers: as for `BM25`; a search of users' questions splits them.
    """
    sides = sides_of(collection, {"model": encode}, split_identifiers=split_identifiers)
    return values_by_weight(collection, sides, {"hybrid": SearchSystem.of(["model"], EQUAL_PARTS)}, metric)["hybrid"]


def choose_hybrid_weight(
    collection: RetrievalSet, encode: EncodeTexts, prior: float = EQUAL_PARTS, metric: str = "nDCG@10"
) -> tuple[float, dict[float, float]]:
    """The dense ranking's weight in the hybrid (BM25 has 1 - weight), and the mean of `metric` at each that was tried.

    collection: the probe, its shared words dropped. prior: taken unless the probe significantly prefers another.

    Equal weights let the weaker ranking drag the stronger one down; the probe, which needs no labels, knows which
    is which. It should be as large as the collections that are searched: in a small one vectors look better than
    they are. Of the weights that are not significantly worse than the best one (by two standard errors), the one
    nearest to the prior is taken, for the probe's queries are not those of users; equal parts are right for most
    collections.
    """
    values = hybrid_values(collection, encode, metric)
    reached = dict(zip(HYBRID_WEIGHTS, values.mean(axis=1).tolist(), strict=True))
    return nearest_as_good(HYBRID_WEIGHTS, values, prior), reached
