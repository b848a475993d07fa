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


def knows_the_wrong_one(texts: list[str], kind: str) -> np.ndarray:
    vectors = knows_everything(texts, kind)
    return np.roll(vectors, 1, axis=1) if kind == "query" else vectors


def test_hybrid_weight_follows_the_better_side() -> None:
    plain = collection()
    texts = {f"q{n}": plain.documents[f"d{n}"] for n in range(8)}
    # Words find every answer here, and the wrong answer shares words with the query too.
    by_words = RetrievalSet("probe-dev", plain.documents, texts, plain.qrels)
    assert choose_hybrid_weight(by_words, knows_the_wrong_one) < 0.5
    # Here every word of the query is in a wrong document, and the vectors know better.
    misleading = {f"q{n}": f"{plain.documents[f'd{n + 8}']} zznumber{n}" for n in range(8)}
    by_vectors = RetrievalSet("probe-dev", plain.documents, misleading, plain.qrels)
    assert choose_hybrid_weight(by_vectors, knows_everything) >= 0.5


def test_of_equally_good_hybrid_weights_the_largest_is_taken() -> None:
    assert choose_hybrid_weight(collection(), knows_everything) == 0.9
