"""The systems that a run compares, and the weights that a probe chooses for them."""

from __future__ import annotations

import numpy as np
import pytest
from encoder_samples import minilm_folder
from evaluation_samples import knows_everything, numbered_collection

from reknit.adaptation.candidate import Candidate
from reknit.adaptation.candidate_systems import candidate_systems
from reknit.data.retrieval_set import RetrievalSet
from reknit.models.embedding_model import EmbeddingModel
from reknit.models.loading import load_embedding_model
from reknit.models.query_expansion import QueryExpansion


@pytest.fixture(scope="module")
def model() -> EmbeddingModel:
    return load_embedding_model(minilm_folder())


def knows_the_wrong_one(texts: list[str], kind: str) -> np.ndarray:
    vectors = knows_everything(texts, kind)
    return np.roll(vectors, 1, axis=1) if kind == "query" else vectors


def weight(model: EmbeddingModel, of: RetrievalSet, encode, prior: float = 0.5) -> float:
    """The weight of the vectors beside words."""
    compared = candidate_systems([Candidate("start", model, encode)])
    return compared.weighted(compared.values(of), prior)["bm25+start"].vector_weight


def test_the_weight_follows_the_better_side(model: EmbeddingModel) -> None:
    plain = numbered_collection()
    texts = {f"q{n}": plain.documents[f"d{n}"] for n in range(8)}
    # Words find every answer here, and the wrong answer shares words with the query too.
    by_words = RetrievalSet("probe-dev", plain.documents, texts, plain.qrels)
    assert weight(model, by_words, knows_the_wrong_one) < 0.5
    # Here every word of the query is in a wrong document, and the vectors know better.
    misleading = {f"q{n}": f"{plain.documents[f'd{n + 8}']} zznumber{n}" for n in range(8)}
    by_vectors = RetrievalSet("probe-dev", plain.documents, misleading, plain.qrels)
    assert weight(model, by_vectors, knows_everything) >= 0.5


def test_of_equally_good_weights_the_one_nearest_to_the_prior_is_taken(model: EmbeddingModel) -> None:
    assert weight(model, numbered_collection(), knows_everything) == pytest.approx(0.5)
    assert weight(model, numbered_collection(), knows_everything, prior=0.0) == pytest.approx(0.1)


def test_the_richest_systems_come_first(model: EmbeddingModel) -> None:
    expansion = QueryExpansion.of(["amber birch"], np.ones((1, 64), dtype=np.float32))
    adapted, start = (Candidate(name, model, knows_everything, expansion) for name in ("adapted", "start"))
    other = Candidate("bge", model, knows_everything, expansion)
    found = candidate_systems([adapted, start, other])
    pairs = [f"bm25+{own}+bge" for own in ("adapted", "plain", "start_expanded", "start")]
    single = ["adapted", "plain", "start_expanded", "start", "bge_expanded", "bge"]
    assert list(found.systems) == [*pairs, *(f"bm25+{side}" for side in single), *single, "bm25"]
    assert set(found.encoders) == set(single)
    assert found.systems["bm25+adapted+bge"].weights == {"bm25": 0.5, "adapted": 0.25, "bge": 0.25}
