from __future__ import annotations

import numpy as np

from reknit.data.retrieval_set import RetrievalSet
from reknit.evaluation.probe import choose_hybrid_weight, retrieval_probe, smaller

WORDS = ["amber", "birch", "cedar", "dune", "ember", "fjord", "grove", "heath"]


def collection(documents: int = 40) -> RetrievalSet:
    texts = {f"d{n}": f"{WORDS[n % 8]} {WORDS[n // 8 % 8]} text number{n}" for n in range(documents)}
    queries = {f"q{n}": f"number{n}" for n in range(8)}
    return RetrievalSet("probe-dev", texts, queries, {f"q{n}": {f"d{n}": 1} for n in range(8)})


def knows_everything(texts: list[str], kind: str) -> np.ndarray:
    vectors = np.zeros((len(texts), 64), dtype=np.float32)
    vectors[np.arange(len(texts)), [int(text.rsplit("number", 1)[1]) for text in texts]] = 1.0
    return vectors


def knows_nothing(texts: list[str], kind: str) -> np.ndarray:
    return np.random.default_rng(len(texts)).normal(size=(len(texts), 64)).astype(np.float32)


def test_smaller_keeps_every_answer() -> None:
    small = smaller(collection(), 12)
    assert len(small.documents) == 12
    assert {f"d{n}" for n in range(8)} <= set(small.documents)
    assert len(smaller(collection(), 3).documents) == 8


def test_probe_scores_the_model_of_the_moment() -> None:
    chosen = {"encode": knows_nothing}
    probe = retrieval_probe(collection(), lambda texts, kind: chosen["encode"](texts, kind))
    assert probe()["nDCG@10"] < 0.5
    chosen["encode"] = knows_everything
    assert probe()["nDCG@10"] == 1.0


def test_hybrid_weight_follows_the_better_side() -> None:
    # A bad second opinion changes the order where many documents share words with the query.
    assert choose_hybrid_weight(shared_words("number"), knows_nothing) < 0.5
    assert choose_hybrid_weight(shared_words("other number"), knows_everything) > 0.5


def shared_words(number: str) -> RetrievalSet:
    """Queries that share words with many documents; "number" names the one that answers, in the document's spelling."""
    plain = collection()
    words = {query: " ".join(plain.documents[f"d{query[1:]}"].split()[:2]) for query in plain.queries}
    queries = {query: f"{words[query]} birch cedar {number}{query[1:]}" for query in plain.queries}
    if number != "number":
        queries = {query: text.replace("other number", "zebra_number") for query, text in queries.items()}
    return RetrievalSet("probe-dev", plain.documents, queries, plain.qrels)
