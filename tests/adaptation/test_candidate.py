"""A candidate's expansion moves its queries and the model that is saved, and nothing that it was made of."""

from __future__ import annotations

import numpy as np
from encoder_samples import minilm_folder

from reknit.adaptation.candidate import Candidate
from reknit.models.encode_texts import encoder_function
from reknit.models.loading import load_embedding_model
from reknit.models.query_expansion import QueryExpansion

TEXTS = ["about amber and more", "about birch and more", "about cedar and less"]


def test_the_finished_model_searches_as_the_candidate_was_measured() -> None:
    model = load_embedding_model(minilm_folder())
    plain = Candidate("adapted", model, encoder_function(model, "float32"))
    assert plain.finished("adapted") is model
    assert plain.sides == {"adapted": plain.encode}

    words = QueryExpansion.of(TEXTS, plain.encode(TEXTS, "document"))
    candidate = Candidate("adapted", model, plain.encode, words)
    assert list(candidate.sides) == ["adapted", "plain"]
    assert candidate.finished("plain") is model
    finished = candidate.finished("adapted")
    assert model.expansion is None, "what is evaluated without expansion stays without"
    assert finished.encoder is model.encoder
    queries = ["amber", "cedar"]
    expanded = candidate.sides["adapted"](queries, "query")
    assert np.abs(expanded - candidate.encode(queries, "query")).max() > 1e-3
    np.testing.assert_allclose(encoder_function(finished, "float32")(queries, "query"), expanded, atol=1e-6)
    np.testing.assert_array_equal(
        candidate.sides["adapted"](TEXTS, "document"), encoder_function(finished, "float32")(TEXTS, "document")
    )


def test_a_start_model_is_itself_without_its_expansion() -> None:
    model = load_embedding_model(minilm_folder())
    encode = encoder_function(model, "float32")
    start = Candidate("start", model, encode, QueryExpansion.of(TEXTS, encode(TEXTS, "document")))
    assert list(start.sides) == ["start_expanded", "start"]
    assert start.sides["start"] is encode
    assert start.finished("start") is model
    assert start.finished("start_expanded").expansion is start.expansion
