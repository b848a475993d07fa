"""Evaluation, index and search rank by the similarity that the model is made for, with the prompts it has."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from reknit.encoders.spec import TextEncoderSpec
from reknit.models.embedding_model import EmbeddingModel, Similarity
from reknit.models.encode_texts import encoder_function
from reknit.retrieval.index import Index, build_index
from reknit.retrieval.search import search
from reknit.tokenizers.tokenizer import train_tokenizer

TEXTS = [
    "the quick brown fox",
    "a lazy dog",
    "packed sequences spend no arithmetic",
    "a model learns",
    "dog dog dog fox",
]
QUERY = "which fox"


def made_model(*, normalize: bool, similarity: Similarity = "cosine") -> EmbeddingModel:
    torch.manual_seed(0)
    tokenizer = train_tokenizer(TEXTS * 5, 120)
    spec = TextEncoderSpec(dim=16, depth=1, heads=2, intermediate=32, max_positions=32)
    encoder = spec.build(tokenizer.vocabulary.size, pad=tokenizer.vocabulary.pad)
    with torch.no_grad():
        encoder.table.mul_(20)
    return EmbeddingModel(encoder, tokenizer, normalize=normalize, similarity=similarity, prompts={"query": "find "})


def lengths(vectors: np.ndarray) -> np.ndarray:
    return np.linalg.norm(vectors, axis=1)


def test_evaluation_ranks_by_the_models_similarity() -> None:
    for kind in ("query", "document"):
        raw = made_model(normalize=False).encode(TEXTS, prompt_name=kind)
        assert lengths(raw).std() > 1e-3, "the lengths would make a difference"
        by_cosine = encoder_function(made_model(normalize=False), "float32")(TEXTS, kind)
        np.testing.assert_allclose(by_cosine, raw / lengths(raw)[:, None], atol=1e-6)
        by_dot = encoder_function(made_model(normalize=False, similarity="dot"), "float32")(TEXTS, kind)
        assert np.array_equal(by_dot, raw)
        normalised = made_model(normalize=True)
        assert np.array_equal(
            encoder_function(normalised, "float32")(TEXTS, kind), normalised.encode(TEXTS, prompt_name=kind)
        )


def test_evaluation_uses_the_prompt_of_each_kind_and_no_other() -> None:
    model = made_model(normalize=True)
    model.prompts, model.default_prompt = {"query": "quick ", "task": "brown "}, "task"
    encode = encoder_function(model, "float32")
    assert np.array_equal(
        encode(TEXTS, "query"), model.encode([f"quick {text}" for text in TEXTS], prompt_name="document")
    )
    assert np.array_equal(encode(TEXTS, "document"), model.encode(TEXTS, prompt_name="document"))
    assert not np.array_equal(encode(TEXTS, "document"), model.encode(TEXTS))


@pytest.mark.parametrize("similarity", ["cosine", "dot"])
def test_search_scores_are_the_similarity(similarity: Similarity, tmp_path: Path) -> None:
    model = made_model(normalize=False, similarity=similarity)
    encode = encoder_function(model, "float32")
    passages = [(str(number), "", text) for number, text in enumerate(TEXTS)]
    build_index(tmp_path / "index", passages, lambda texts: encode(texts, "document"), dim=model.dim)
    documents, query = model.encode(TEXTS, prompt_name="document"), model.encode([QUERY], prompt_name="query")[0]
    expected = documents @ query
    if similarity == "cosine":
        expected /= lengths(documents) * np.linalg.norm(query)
    hits = search(Index.open(tmp_path / "index"), model, QUERY, top=5, mode="dense")
    assert [hit.id for hit in hits] == [str(place) for place in np.argsort(-expected)]
    np.testing.assert_allclose([hit.score for hit in hits], np.sort(expected)[::-1], rtol=1e-4, atol=1e-4)
