"""The expansion's weight is chosen without labels: high where words find the answers, none where they mislead."""

from __future__ import annotations

import numpy as np

from reknit.adaptation.expansion import EXPANSION_WEIGHTS, choose_expansion_weight, with_expansion
from reknit.data.retrieval_set import RetrievalSet
from reknit.models.query_expansion import DEFAULT_WEIGHT, QueryExpansion

DOCUMENTS = {f"d{n}": f"text name{n}" for n in range(40)}
PLACES = {text: n for n, text in enumerate(DOCUMENTS.values())}


def collection(asked_for: int) -> RetrievalSet:
    """Queries that name a document and want the one `asked_for` further."""
    queries = {f"q{n}": f"name{n}" for n in range(20)}
    return RetrievalSet("probe", DOCUMENTS, queries, {f"q{n}": {f"d{(n + asked_for) % 40}": 1} for n in range(20)})


def nearly_right(texts: list[str], kind: str) -> np.ndarray:
    """Documents apart from each other; a query a little nearer to the one after the document it names."""
    vectors = np.zeros((len(texts), 40), dtype=np.float32)
    for row, text in enumerate(texts):
        if kind == "document":
            vectors[row, PLACES[text]] = 1.0
        else:
            named = int(text.removeprefix("name"))
            vectors[row, [named, (named + 1) % 40]] = 0.68, 0.73
    return vectors


def made() -> QueryExpansion:
    texts = list(DOCUMENTS.values())
    return QueryExpansion.of(texts, nearly_right(texts, "document"))


def test_words_that_find_the_answer_are_used() -> None:
    weight, reached = choose_expansion_weight(collection(asked_for=0), nearly_right, made())
    assert weight == DEFAULT_WEIGHT
    assert reached[0] < 0.7
    assert reached[EXPANSION_WEIGHTS.index(DEFAULT_WEIGHT)] == 1.0


def test_words_that_mislead_are_not() -> None:
    weight, reached = choose_expansion_weight(collection(asked_for=1), nearly_right, made())
    assert weight == 0.0
    assert reached[0] == 1.0


def test_only_queries_are_expanded() -> None:
    encode = with_expansion(nearly_right, made())
    texts = list(DOCUMENTS.values())
    np.testing.assert_array_equal(encode(texts, "document"), nearly_right(texts, "document"))
    assert encode(["name3"], "query").argmax() == 3
    assert nearly_right(["name3"], "query").argmax() == 4
    assert with_expansion(nearly_right, None) is nearly_right
