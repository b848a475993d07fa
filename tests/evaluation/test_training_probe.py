from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
from encoder_samples import minilm_folder
from evaluation_samples import WORDS, knows_everything, numbered_collection
from hypothesis import given
from hypothesis import strategies as st

from reknit.adaptation.candidate import Candidate
from reknit.adaptation.candidate_systems import candidate_systems
from reknit.data.retrieval_set import RetrievalSet
from reknit.evaluation.probe import drop_shared_words, retrieval_probe, shape_like, subsample, with_fewer_shared_words
from reknit.models.embedding_model import EmbeddingModel
from reknit.models.loading import load_embedding_model
from reknit.retrieval.bm25 import BM25


def knows_nothing(texts: list[str], kind: str) -> np.ndarray:
    return np.random.default_rng(len(texts)).normal(size=(len(texts), 64)).astype(np.float32)


def model() -> EmbeddingModel:
    return load_embedding_model(minilm_folder())


def test_what_is_chosen_by_the_probe_does_not_look_into_identifiers() -> None:
    """A docstring is found by its function's name as no user's question is."""
    texts = {f"d{n}": f"def {WORDS[n % 8]}{WORDS[n // 8].title()}(value)" for n in range(40)}
    queries = {f"q{n}": f"the {WORDS[n % 8]} of {WORDS[n // 8]}" for n in range(30)}
    code = RetrievalSet("probe-dev", texts, queries, {f"q{n}": {f"d{n}": 1} for n in range(30)})
    assert drop_shared_words(code).queries == queries
    systems = candidate_systems([Candidate("start", model(), knows_nothing)])
    asked_by_users, asked_by_the_probe = (
        systems.values(code, split_identifiers=split)["bm25"].mean() for split in (True, False)
    )
    assert asked_by_users > 0.9
    assert asked_by_the_probe < 0.5


def test_smaller_keeps_every_answer() -> None:
    small = subsample(numbered_collection(), documents=12)
    assert len(small.documents) == 12
    assert {f"d{n}" for n in range(8)} <= set(small.documents)
    assert len(subsample(numbered_collection(), documents=3).documents) == 8


def test_smaller_keeps_the_first_queries_and_their_answers() -> None:
    small = subsample(numbered_collection(), documents=0, queries=3)
    assert list(small.queries) == list(small.qrels) == ["q0", "q1", "q2"]
    assert set(small.documents) == {"d0", "d1", "d2"}


def test_probe_scores_the_model_of_the_moment() -> None:
    chosen = {"encode": knows_nothing}
    probe = retrieval_probe(numbered_collection(), lambda texts, kind: chosen["encode"](texts, kind))
    assert probe()["nDCG@10"] < 0.5
    chosen["encode"] = knows_everything
    assert probe()["nDCG@10"] == 1.0


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
    plain = numbered_collection()
    titles = {f"q{n}": f"{plain.documents[f'd{n}']} elsewhere" for n in range(8)}
    whole = RetrievalSet("probe", plain.documents, titles, plain.qrels)
    found = drop_shared_words(whole)
    assert found.queries == drop_shared_words(whole).queries
    assert all(found.queries[name].endswith("elsewhere") for name in titles)
    assert all(set(found.queries[name].split()) <= set(titles[name].split()) for name in titles)
    lengths = [len(text.split()) for text in found.queries.values()]
    assert sum(lengths) < 0.8 * sum(len(text.split()) for text in titles.values())
    assert (found.documents, found.qrels, len(found.notes)) == (whole.documents, whole.qrels, 1)


@given(
    st.lists(st.lists(st.sampled_from(["reset", "vpn", "the", "of", "printer"]), min_size=1, max_size=6), min_size=1)
)
def test_queries_get_the_lengths_of_real_ones(real: list[list[str]]) -> None:
    asked = [" ".join(words) for words in real]
    collection = numbered_collection()
    long = "the first of all words that a user of the printer never writes when asking for the manual of it"
    collection = replace(collection, queries=dict.fromkeys(collection.queries, long))
    shaped = shape_like(collection, asked)
    lengths = {len(words) for words in real}
    for query in shaped.queries.values():
        pieces, rest = query.split(), iter(long.split())
        assert len(pieces) in lengths
        assert all(piece in rest for piece in pieces), "in their order"
    assert shape_like(collection, asked) == shaped
    assert shaped.qrels == collection.qrels


def test_keywords_are_made_of_words_that_say_something() -> None:
    collection = replace(numbered_collection(), queries={"q0": "what is the price of the red printer"})
    kept = {shape_like(collection, ["red printer", "paper tray"]).queries["q0"]}
    assert kept <= {"price red", "price printer", "red printer"}
    assert shape_like(collection, ["a much longer query than any of the others here"]).queries == collection.queries
