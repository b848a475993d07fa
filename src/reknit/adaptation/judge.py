"""Measures what a run came to beside what it started from, and gives the verdict."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from reknit.adaptation.candidate import Candidate
from reknit.adaptation.verdict import decide
from reknit.data.retrieval_set import RetrievalSet
from reknit.evaluation.retrieval import evaluate_retrieval
from reknit.evaluation.scores import Evaluation
from reknit.retrieval.system import SearchSystem
from reknit.runs.result import Verdict

logger = logging.getLogger("reknit")


@dataclass(frozen=True)
class Judgement:
    """What was measured, and what follows from it.

    evaluations: of the probe, then of each labelled collection. verdict: by the labelled ones where there are any.
    probe_verdict: by the probe alone. plain: of the adapted model without its query expansion; None where it has none.
    """

    evaluations: tuple[Evaluation, ...]
    verdict: Verdict
    probe_verdict: Verdict
    plain: Verdict | None


def judge(
    start: Candidate, adapted: Candidate, probe: RetrievalSet, labelled: Sequence[RetrievalSet], seed: int
) -> Judgement:
    """Evaluate both, and the hybrid of each with BM25 at the weight that it has, on the probe and the labelled ones."""
    assert start.hybrid_weight is not None
    assert adapted.hybrid_weight is not None
    models = {"start": start.encode_expanded, "adapted": adapted.encode_expanded}
    if adapted.expansion is not None:
        models["plain"] = adapted.encode
    systems = {
        "start_hybrid": SearchSystem.of(["start"], start.hybrid_weight),
        "hybrid": SearchSystem.of(["adapted"], adapted.hybrid_weight),
    }
    evaluations = []
    for collection in (probe, *labelled):
        logger.info("evaluating on %s (%d documents)", collection.name, len(collection.documents))
        # The probe's queries are cut out of documents, which share their identifiers.
        split = collection is not probe
        evaluations.append(evaluate_retrieval(collection, models, systems=systems, split_identifiers=split, seed=seed))
    verdict = decide(evaluations, seed=seed)
    logger.info("verdict: %s", verdict.sentence)
    plain = None if adapted.expansion is None else decide(evaluations, system="plain", seed=seed)
    return Judgement(tuple(evaluations), verdict, decide(evaluations[:1], seed=seed), plain)
