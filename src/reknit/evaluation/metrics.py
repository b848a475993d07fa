"""Effectiveness of a run, query by query, by ir_measures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from reknit.data.retrieval_set import LEFT_OUT, RetrievalSet
from reknit.retrieval.ranking import Rankings, ranking

METRICS = ("nDCG@10", "R@100", "RR@10")


def per_query(
    run: Rankings, qrels: Mapping[str, Mapping[str, int]], metrics: Sequence[str] = METRICS
) -> dict[str, dict[str, float]]:
    """{metric: {query id: value in 0 to 1}} for every query of `qrels`; a query that the run lacks counts 0.

    nDCG@10 has linear gains and the log2 discount, as trec_eval and BEIR compute it; a grade of 1 or more is relevant
    for R@100 and RR@10. Queries of the run without judgements are left out, and documents of grade LEFT_OUT.
    """
    import ir_measures
    from ir_measures import RR, R, nDCG

    measures = {"nDCG@10": nDCG @ 10, "R@100": R @ 100, "RR@10": RR @ 10}
    names = {measures[name]: name for name in metrics}
    # The providers behind ir_measures break ties differently from each other; distinct scores leave them no choice.
    untied = {query: _by_rank(run[query], qrels[query]) for query in qrels if run.get(query)}
    judged = {query: {document: max(grade, 0) for document, grade in grades.items()} for query, grades in qrels.items()}
    values = {name: dict.fromkeys(judged, 0.0) for name in metrics}
    for result in ir_measures.iter_calc(list(names), judged, untied):
        values[names[result.measure]][result.query_id] = float(result.value)
    return values


def values_of(run: Rankings, collection: RetrievalSet, metric: str = "nDCG@10") -> list[float]:
    """[queries] the values of one metric, in the collection's order of queries."""
    qrels = {query: collection.qrels[query] for query in collection.queries}
    values = per_query(run, qrels, (metric,))[metric]
    return [values[query] for query in collection.queries]


def mean(values: Mapping[str, float]) -> float:
    """Mean over the queries; 0 for no queries."""
    return sum(values.values()) / len(values) if values else 0.0


def _by_rank(scores: Mapping[str, float], grades: Mapping[str, int]) -> dict[str, float]:
    ranked = [document for document in ranking(scores) if grades.get(document) != LEFT_OUT]
    return {document: float(len(scores) - rank) for rank, document in enumerate(ranked)}
