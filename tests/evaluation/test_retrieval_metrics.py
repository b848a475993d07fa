"""nDCG@10, R@100 and RR@10 against formulas written by hand."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reknit.evaluation.metrics import METRICS, mean, per_query


def naive_metrics(scores: dict[str, float], grades: dict[str, int]) -> dict[str, float]:
    """The definitions, one document at a time; equal scores by document id."""
    ordered = sorted(scores, key=lambda document: (-scores[document], document))
    gains = {document: max(grade, 0) for document, grade in grades.items()}
    gained = sum(gains.get(document, 0) / math.log2(place + 2) for place, document in enumerate(ordered[:10]))
    best = sorted(gains.values(), reverse=True)[:10]
    ideal = sum(gain / math.log2(place + 2) for place, gain in enumerate(best))
    relevant = {document for document, gain in gains.items() if gain > 0}
    first = next((place for place, document in enumerate(ordered[:10], start=1) if document in relevant), None)
    return {
        "nDCG@10": gained / ideal if ideal else 0.0,
        "R@100": len(relevant.intersection(ordered[:100])) / len(relevant) if relevant else 0.0,
        "RR@10": 1 / first if first else 0.0,
    }


documents = [f"d{number}" for number in range(15)] + ["D", "ä", "10", "9"]


@settings(max_examples=150, deadline=None)
@given(
    st.dictionaries(st.sampled_from(documents), st.integers(0, 4).map(float), max_size=19),
    st.dictionaries(st.sampled_from(documents), st.integers(-1, 3), min_size=1, max_size=19),
)
def test_metrics_equal_the_definitions_also_with_ties_and_negative_grades(scores, grades):
    found = per_query({"q": scores}, {"q": grades})
    for name, value in naive_metrics(scores, grades).items():
        assert found[name]["q"] == pytest.approx(value, abs=1e-6), name


def test_recall_looks_at_one_hundred_results_and_not_further():
    scores = {f"d{number:03}": -float(number) for number in range(150)}
    found = per_query({"q": scores}, {"q": {"d099": 1, "d100": 1}})
    assert found["R@100"]["q"] == 0.5
    assert found["RR@10"]["q"] == 0.0


def test_tiny_score_differences_count_and_float_ties_go_by_id():
    close = {"b": 1.0 + 1e-12, "a": 1.0}
    assert per_query({"q": close}, {"q": {"b": 1}})["RR@10"]["q"] == 1.0
    assert per_query({"q": {"b": 1.0, "a": 1.0}}, {"q": {"b": 1}})["RR@10"]["q"] == 0.5


def test_queries_without_results_count_zero_and_unjudged_queries_do_not_count():
    found = per_query(
        {"q1": {"a": 1.0}, "q2": {}, "unjudged": {"a": 1.0}}, {"q1": {"a": 1}, "q2": {"a": 1}, "q3": {"b": 1}}
    )
    assert tuple(found) == METRICS
    assert found["nDCG@10"] == {"q1": 1.0, "q2": 0.0, "q3": 0.0}
    assert per_query({}, {"q": {"a": 1}})["R@100"] == {"q": 0.0}
    assert mean(found["nDCG@10"]) == pytest.approx(1 / 3)
    assert mean({}) == 0.0
