"""The sentence of the verdict over systems says what was found."""

from __future__ import annotations

import numpy as np

from reknit.adaptation.system_verdict import system_verdict, with_a_second_search
from reknit.evaluation.significance import Paired

MILLISECONDS = {"bm25+adapted": 10.0, "bm25+start": 9.5, "bm25": 0.2}
BETTER, SAME = Paired(0.021, (0.010, 0.032), 0.0004), Paired(0.004, (-0.006, 0.014), 0.4)


def values(words: float = -0.2) -> dict[str, dict[str, np.ndarray]]:
    rng = np.random.default_rng(0)
    good = rng.normal(size=200)
    noise = 0.01 * rng.normal(size=200)
    return {"probe": {"bm25+adapted": good, "bm25+start": good + noise, "bm25": good + words}}


def test_a_better_system_is_named_with_its_gain() -> None:
    found = system_verdict("bm25+adapted", "bm25+start", BETTER, values(), MILLISECONDS, 0)
    assert (found.use, found.have) == ("bm25+adapted", "bm25+start")
    assert found.best == found.cheapest == "bm25+adapted"
    assert found.sentence == (
        "Search with BM25 + adapted: a gain in nDCG@10 on probe over BM25 + start, which you have (+0.021, 95% "
        "interval +0.010 to +0.032, p < 0.001, 200 queries). No system that takes a fifth less time is as good."
    )


def test_without_a_significant_gain_the_user_keeps_what_they_have() -> None:
    found = system_verdict("bm25+adapted", "bm25+start", SAME, values(), MILLISECONDS, 0)
    assert (found.use, found.best) == ("bm25+start", "bm25+adapted")
    assert found.sentence.startswith(
        "Keep BM25 + start, which you have: BM25 + adapted is not significantly better in nDCG@10 on probe (+0.004, "
    )
    same = system_verdict("bm25+start", "bm25+start", SAME, values(), MILLISECONDS, 0)
    assert same.sentence.startswith(
        "Keep BM25 + start, which you have: no other system did significantly better in nDCG@10 on probe."
    )


def test_a_cheaper_system_that_is_as_good_is_named() -> None:
    found = system_verdict("bm25+adapted", "bm25+start", BETTER, values(words=0.0), MILLISECONDS, 0)
    assert found.cheapest == "bm25"
    assert found.sentence.endswith(
        "The cheapest system that is not significantly worse is BM25 (0.2 ms a query, not 10.0)."
    )
    words = system_verdict("bm25", "bm25", SAME, values(), MILLISECONDS, 0)
    assert words.sentence == "Keep BM25, which you have: no other system did significantly better in nDCG@10 on probe."


def test_several_collections_are_named() -> None:
    both = {"first": values()["probe"], "second": values()["probe"]}
    found = system_verdict("bm25+adapted", "bm25+start", BETTER, both, MILLISECONDS, 0)
    assert "mean nDCG@10 over first, second" in found.sentence
    assert "400 queries" in found.sentence
    assert found.decided_by == "first, second"


def test_feedback_is_added_to_words_and_vectors_alone() -> None:
    found = system_verdict("bm25+adapted", "bm25+start", BETTER, values(), MILLISECONDS, 0)
    second = with_a_second_search(found, possible=True)
    assert second.use == "bm25+adapted+feedback"
    assert "A second search by its first hits follows (BM25 + adapted + feedback)" in second.sentence
    words = system_verdict("bm25", "bm25", SAME, values(), MILLISECONDS, 0)
    same = with_a_second_search(words, possible=False)
    assert same.use == "bm25"
    assert same.sentence.endswith("There is no feedback for many answers: BM25 is not of words and vectors together.")
