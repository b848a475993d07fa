from __future__ import annotations

import random

import numpy as np

from reknit.adaptation.hybrid_weight import choose_hybrid_weight, hybrid_values
from reknit.data.retrieval_set import RetrievalSet
from reknit.evaluation.hybrid_weights import HYBRID_WEIGHTS
from reknit.evaluation.probe import drop_shared_words, retrieval_probe, subsample_documents, with_fewer_shared_words
from reknit.retrieval.bm25 import BM25

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


def test_what_is_chosen_by_the_probe_does_not_look_into_identifiers() -> None:
    """A docstring is found by its function's name as no user's question is."""
    texts = {f"d{n}": f"def {WORDS[n % 8]}{WORDS[n // 8].title()}(value)" for n in range(40)}
    queries = {f"q{n}": f"the {WORDS[n % 8]} of {WORDS[n // 8]}" for n in range(30)}
    code = RetrievalSet("probe-dev", texts, queries, {f"q{n}": {f"d{n}": 1} for n in range(30)})
    assert drop_shared_words(code).queries == queries
    assert hybrid_values(code, knows_nothing, split_identifiers=True)[0].mean() > 0.9
    assert hybrid_values(code, knows_nothing)[0].mean() < 0.5
    assert choose_hybrid_weight(code, knows_nothing)[1][0.1] < 0.5


def test_smaller_keeps_every_answer() -> None:
    small = subsample_documents(collection(), 12)
    assert len(small.documents) == 12
    assert {f"d{n}" for n in range(8)} <= set(small.documents)
    assert len(subsample_documents(collection(), 3).documents) == 8


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
    assert choose_hybrid_weight(by_words, knows_the_wrong_one)[0] < 0.5
    # Here every word of the query is in a wrong document, and the vectors know better.
    misleading = {f"q{n}": f"{plain.documents[f'd{n + 8}']} zznumber{n}" for n in range(8)}
    by_vectors = RetrievalSet("probe-dev", plain.documents, misleading, plain.qrels)
    assert choose_hybrid_weight(by_vectors, knows_everything)[0] >= 0.5


def test_of_equally_good_hybrid_weights_the_even_one_is_taken() -> None:
    assert choose_hybrid_weight(collection(), knows_everything)[0] == 0.5
    assert choose_hybrid_weight(collection(), knows_everything, prior=0.0)[0] == min(HYBRID_WEIGHTS)


def test_half_of_the_shared_words_are_left_out() -> None:
    bm25 = BM25({"a": "the wings of aircraft lift"})
    query = "aircraft lifting above unknown winged clouds " * 50
    left = with_fewer_shared_words(query, "the wings of aircraft lift", bm25, random.Random(0)).split()
    assert left.count("unknown") == left.count("clouds") == left.count("above") == 50
    for shared in ("aircraft", "lifting", "winged"):
        assert 10 < left.count(shared) < 40


def test_a_thinned_query_always_has_something_to_search_for() -> None:
    bm25 = BM25({"a": "wings lift"})
    left = {with_fewer_shared_words("wings of lift", "lift wings", bm25, random.Random(seed)) for seed in range(50)}
    assert left == {"wings of lift", "wings of", "of lift"}
    assert with_fewer_shared_words("", "lift wings", bm25, random.Random(0)) == ""
    assert with_fewer_shared_words("of the", "lift wings", bm25, random.Random(0)) == "of the"


def test_queries_without_spaces_are_thinned_too() -> None:
    text = "一个中文句子关于数据库"
    left = {with_fewer_shared_words("关于数据库的句子", text, BM25({"a": text}), random.Random(n)) for n in range(50)}
    assert "关于数据库的句子" in left
    assert "关于" in {one[:2] for one in left}
    assert all(0 < len(one) <= 8 and " " not in one for one in left)
    assert min(map(len, left)) <= 4


def test_thinned_queries_are_found_less_easily_by_words_and_stay_the_same() -> None:
    plain = collection()
    titles = {f"q{n}": f"{plain.documents[f'd{n}']} elsewhere" for n in range(8)}
    whole = RetrievalSet("probe", plain.documents, titles, plain.qrels)
    found = drop_shared_words(whole)
    assert found.queries == drop_shared_words(whole).queries
    assert all(found.queries[name].endswith("elsewhere") for name in titles)
    assert all(set(found.queries[name].split()) <= set(titles[name].split()) for name in titles)
    lengths = [len(text.split()) for text in found.queries.values()]
    assert sum(lengths) < 0.8 * sum(len(text.split()) for text in titles.values())
    assert (found.documents, found.qrels, len(found.notes)) == (whole.documents, whole.qrels, 1)
