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
    assert plain.finished() is model
    assert plain.encode_expanded is plain.encode

    words = QueryExpansion.of(TEXTS, plain.encode(TEXTS, "document"))
    candidate = Candidate("adapted", model, plain.encode, words)
    finished = candidate.finished()
    assert model.expansion is None, "what is evaluated without expansion stays without"
    assert finished.encoder is model.encoder
    queries = ["amber", "cedar"]
    expanded = candidate.encode_expanded(queries, "query")
    assert np.abs(expanded - candidate.encode(queries, "query")).max() > 1e-3
    np.testing.assert_allclose(encoder_function(finished, "float32")(queries, "query"), expanded, atol=1e-6)
    np.testing.assert_array_equal(
        candidate.encode_expanded(TEXTS, "document"), encoder_function(finished, "float32")(TEXTS, "document")
    )
