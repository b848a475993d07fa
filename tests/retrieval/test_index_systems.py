"""An index with the vectors of two models is searched as its systems are evaluated."""

from __future__ import annotations

import numpy as np
import pytest
from test_index import DIM, PASSAGES, content, encode

from reknit.data.retrieval_set import RetrievalSet
from reknit.errors import ReknitError
from reknit.retrieval.bm25 import BM25
from reknit.retrieval.build import IndexedVectors
from reknit.retrieval.feedback import Feedback
from reknit.retrieval.index import Index, build_index
from reknit.retrieval.rank_systems import rank_systems
from reknit.retrieval.sides import VectorSide, WordSide
from reknit.retrieval.system import SearchSystem

BOTH = SearchSystem.of(["first", "second"], 0.6)
QUERIES = {"q1": "bane tusk kolo", "q2": "golo miru", "q3": "nothing known"}


def wider(texts: list[str]) -> np.ndarray:
    return np.concatenate([encode([text[::-1] for text in texts]), 0.5 * encode(texts)], axis=1)


MODELS = {"first": encode, "second": wider}


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Index:
    folder = tmp_path_factory.mktemp("systems") / "index"
    others = [IndexedVectors("second", wider, 2 * DIM)]
    build_index(folder, PASSAGES, encode, dim=DIM, name="first", others=others, system=BOTH, batch=64)
    return Index.open(folder)


@pytest.mark.parametrize(
    "system",
    [
        BOTH,
        SearchSystem.of(["second"], 0.3),
        SearchSystem.of(["second"]),
        SearchSystem({"bm25": 1.0}),
        SearchSystem.of(["first", "second"], 0.6, Feedback()),
        SearchSystem.of(["second"], 0.5, Feedback(hits=3, words=5)),
    ],
    ids=str,
)
def test_a_search_finds_what_evaluation_measures(system: SearchSystem, index: Index) -> None:
    documents = {passage[0]: content(passage) for passage in PASSAGES}
    collection = RetrievalSet("made", documents, QUERIES, {})
    sides = {"bm25": WordSide(collection, BM25(documents))}
    texts, asked = list(documents.values()), list(QUERIES.values())
    sides |= {name: VectorSide(collection, model(texts), model(asked)) for name, model in MODELS.items()}
    expected = rank_systems(collection, sides, {"it": system})["it"]
    for name, text in QUERIES.items():
        vectors = {model: of([text])[0] for model, of in MODELS.items()}
        hits = index.search_by(system, vectors, text, 20)
        best = list(expected[name].items())[:20]
        assert [hit.id for hit in hits] == [document for document, _ in best]
        assert [hit.score for hit in hits] == pytest.approx([score for _, score in best], abs=1e-3)


def test_an_index_remembers_how_it_is_searched(index: Index) -> None:
    assert index.system == BOTH
    assert index.dim == DIM


def test_what_the_index_does_not_have_is_refused(index: Index) -> None:
    vectors = {"first": np.ones(DIM), "second": np.ones(2 * DIM)}
    with pytest.raises(ReknitError, match="no vectors of 'third': it has first, second"):
        index.search_by(SearchSystem.of(["third"]), vectors, "bane")
    with pytest.raises(ReknitError, match="needs a query vector"):
        index.search_by(BOTH, {"first": np.ones(DIM)}, "bane")
    with pytest.raises(ReknitError, match=r"has 8 dimensions, index .* has 16"):
        index.search_by(BOTH, vectors | {"second": np.ones(DIM)}, "bane")
    with pytest.raises(ReknitError, match="at least 1"):
        index.search_by(BOTH, vectors, "bane", 0)
