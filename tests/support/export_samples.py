"""A small model of each family that reknit builds, with weights large enough for mistakes to show."""

from __future__ import annotations

import functools

import torch

from reknit.encoders.spec import TextEncoderSpec
from reknit.models.embedding_model import EmbeddingModel
from reknit.tokenizers.tokenizer import Tokenizer, train_tokenizer

SENTENCES = (
    "the quick brown fox jumps over the lazy dog",
    "a model learns from text that nobody has labelled",
    "search finds the passage that answers the question",
)


@functools.cache
def export_tokenizer() -> Tokenizer:
    return train_tokenizer(SENTENCES * 5, 200)


def export_sample(family: str = "bert", **settings: object) -> EmbeddingModel:
    torch.manual_seed(0)
    tokenizer = export_tokenizer()
    spec = TextEncoderSpec(family=family, dim=32, depth=4, heads=4, intermediate=48, max_positions=200)
    encoder = spec.build(tokenizer.vocabulary.size, pad=tokenizer.vocabulary.pad)
    with torch.no_grad():
        for parameter in encoder.parameters():
            if parameter.ndim > 1:
                parameter.mul_(8)
    return EmbeddingModel(encoder, tokenizer, **{"max_length": 150, "name": "toy", **settings})
