"""A small embedding model, its texts and a store of its token states."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import torch
from small_corpus import small_documents

from reknit.encoders.spec import TextEncoderSpec
from reknit.interpretability.activation_store import ActivationStore
from reknit.models.embedding_model import EmbeddingModel
from reknit.tokenizers.tokenizer import Tokenizer, train_tokenizer

TEXTS = [f"{document['title']}. {document['text']}" for document in small_documents(24)]


@functools.cache
def small_tokenizer() -> Tokenizer:
    return train_tokenizer(TEXTS, 200)


def small_embedder(family: str = "bert", depth: int = 2, **settings: Any) -> EmbeddingModel:
    """With random weights that are large enough for every layer to change something."""
    tokenizer = small_tokenizer()
    torch.manual_seed(0)
    spec = TextEncoderSpec(family=family, dim=16, depth=depth, heads=2, intermediate=32)
    encoder = spec.build(tokenizer.vocabulary.size, pad=tokenizer.vocabulary.pad).eval()
    with torch.no_grad():
        for parameter in encoder.parameters():
            if parameter.ndim > 1:
                parameter.mul_(5.0)
    return EmbeddingModel(encoder, tokenizer, max_length=64, **settings)


def small_store(folder: Path, model: EmbeddingModel | None = None, layer: int = 1, **options: Any) -> ActivationStore:
    return ActivationStore.build(
        model or small_embedder(), TEXTS, folder / "states", layer=layer, **{"stored": "float32"} | options
    )
