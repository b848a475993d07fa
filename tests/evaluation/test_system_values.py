"""Values of single queries, against whole rankings."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reknit.data.retrieval_set import LEFT_OUT, RetrievalSet
from reknit.evaluation.metrics import values_of
from reknit.evaluation.system_values import HYBRID_WEIGHTS, ndcg_values, values_by_weight
from reknit.retrieval.bm25 import BM25
from reknit.retrieval.rank_systems import rank_systems
from reknit.retrieval.sides import VectorSide, WordSide
from reknit.retrieval.system import SearchSystem

SYSTEMS = {"words": SearchSystem({"bm25": 1.0}), "both": SearchSystem.of(["model"], 0.4)}


def made(seed: int, documents: int = 30, queries: int = 6):
    rng = np.random.default_rng(seed)
    texts = {f"d{n}": " ".join(rng.choice(["amber", "birch", "cedar", "dune"], 3)) for n in rng.permutation(documents)}
    asked = {f"q{n}": " ".join(rng.choice(["amber", "birch", "ember"], 2)) for n in range(queries)}
    grades = [-1, 0, 1, 2, LEFT_OUT]
    qrels = {
        query: {document: int(rng.choice(grades)) for document in rng.choice(list(texts), 12, replace=False)}
        for query in asked
    }
    collection = RetrievalSet("made", texts, asked, qrels)
    # Random and real: no ties of scores, which the two ways break alike only by the id.
    vectors = VectorSide(collection, *(rng.normal(size=(count, 4)) for count in (documents, queries)))
    return collection, {"bm25": WordSide(collection, BM25(texts)), "model": vectors}


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000))
def test_ndcg_is_that_of_the_rankings(seed):
    collection, sides = made(seed)
    runs = rank_systems(collection, sides, SYSTEMS)
    for name, values in ndcg_values(collection, sides, SYSTEMS).items():
        assert values == pytest.approx(values_of(runs[name], collection))


def test_values_at_each_weight_are_those_of_a_system_with_that_weight():
    collection, sides = made(3)
    found = values_by_weight(collection, sides, {"both": SYSTEMS["both"]})["both"]
    assert found.shape == (len(HYBRID_WEIGHTS), len(collection.queries))
    for weight, row in zip(HYBRID_WEIGHTS, found, strict=True):
        one = {"one": SearchSystem.of(["model"], weight)}
        assert row == pytest.approx(ndcg_values(collection, sides, one)["one"])
