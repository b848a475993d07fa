"""A model folder that costs nothing to run."""

from __future__ import annotations

from pathlib import Path

import torch
from small_corpus import small_documents

from reknit.encoders.spec import TextEncoderSpec
from reknit.export.sentence_transformers import save
from reknit.models.embedding_model import EmbeddingModel
from reknit.tokenizers.tokenizer import train_tokenizer


def write_small_model(folder: Path, dim: int = 32, depth: int = 2) -> Path:
    """A sentence-transformers folder with random weights and a tokenizer of the small corpus."""
    texts = [f"{document['title']} {document['text']}" for document in small_documents(20)]
    tokenizer = train_tokenizer(texts, 200)
    torch.manual_seed(0)
    spec = TextEncoderSpec(dim=dim, depth=depth, heads=2, intermediate=2 * dim)
    encoder = spec.build(tokenizer.vocabulary.size, pad=tokenizer.vocabulary.pad).eval()
    return save(EmbeddingModel(encoder, tokenizer, max_length=128), folder)
