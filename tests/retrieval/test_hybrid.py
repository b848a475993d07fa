"""Candidates of hybrid search against a loop over every query and document."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reknit.data.retrieval_set import LEFT_OUT, RetrievalSet
from reknit.retrieval import hybrid
from reknit.retrieval.bm25 import BM25
from reknit.retrieval.hybrid import candidates
from reknit.retrieval.ranking import ranking

WORDS = ["amber", "birch", "cedar", "dune", "ember"]
texts = st.lists(st.sampled_from(WORDS), max_size=6).map(" ".join)


@settings(max_examples=80, deadline=None)
@given(
    st.dictionaries(st.text("abcxyz", min_size=1, max_size=3), texts, min_size=1, max_size=12),
    st.lists(texts, min_size=1, max_size=4),
    st.integers(1, 5),
    st.integers(0, 1000),
)
def test_candidates_equal_a_loop(documents, asked, top, seed):
    rng = np.random.default_rng(seed)
    queries = {f"q{number}": text for number, text in enumerate(asked)}
    left_out = {name: str(rng.choice(list(documents))) for name in queries if rng.random() < 0.5}
    qrels = {name: {document: LEFT_OUT} for name, document in left_out.items()}
    collection = RetrievalSet("made", documents, queries, qrels)
    bm25 = BM25(documents)
    table, rows = (rng.integers(-3, 4, (count, 3)).astype(np.float32) for count in (len(documents), len(queries)))
    by_words, by_vectors = candidates(collection, bm25, table, rows, top)
    for (name, text), row in zip(queries.items(), rows, strict=True):
        words = bm25.search({"q": text}, len(documents))["q"]
        vectors = {document: float(vector @ row) for document, vector in zip(documents, table, strict=True)}
        found = {*ranking(words)[:top], *ranking(vectors)[:top]} - {left_out.get(name)}
        assert by_vectors[name] == {document: vectors[document] for document in found}
        assert by_words[name] == pytest.approx({document: words.get(document, 0.0) for document in found})


def test_queries_are_scored_a_few_at_a_time(monkeypatch):
    rng = np.random.default_rng(0)
    documents = {f"d{n}": " ".join(rng.choice(WORDS, 4)) for n in range(30)}
    collection = RetrievalSet("made", documents, {f"q{n}": WORDS[n % 5] for n in range(7)}, {})
    table, rows = rng.normal(size=(30, 4)).astype(np.float32), rng.normal(size=(7, 4)).astype(np.float32)
    bm25 = BM25(documents)
    whole = candidates(collection, bm25, table, rows, 5)
    monkeypatch.setattr(hybrid, "_SCORES_AT_ONCE", 60)
    parts = candidates(collection, bm25, table, rows, 5)
    for one, other in zip(whole, parts, strict=True):
        assert list(one) == list(other)
        assert all(one[name] == pytest.approx(other[name]) for name in one)
