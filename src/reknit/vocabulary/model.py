"""The same model with another tokenizer: one table is replaced, every other weight stays."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Literal

import torch
from torch import Tensor, nn

from reknit.encoders.huggingface.loading import HuggingFaceEncoder
from reknit.errors import ReknitError
from reknit.models.embedding_model import EmbeddingModel
from reknit.tokenizers.tokenizer import Tokenizer

# RoBERTa and its kin count positions from the padding token's id, which another tokenizer would move.
_KINDS: dict[str, Literal["bert", "modernbert"]] = {"bert": "bert", "distilbert": "bert", "modernbert": "modernbert"}
_IDS = tuple(f"{name}_token_id" for name in ("pad", "cls", "sep", "bos", "eos", "mask"))


def tokenizer_kind(model: EmbeddingModel) -> Literal["bert", "modernbert"]:
    """The family whose kind of tokenizer the model has: "bert" (WordPiece) or "modernbert" (byte-level BPE).

    Raises ReknitError for a model whose tokenizer cannot be replaced.
    """
    encoder = model.encoder
    source = encoder.source if isinstance(encoder, HuggingFaceEncoder) else {}
    # An encoder with another mixer is of a family too.
    kind = _KINDS.get(str(source.get("family", source.get("model_type"))))
    if kind is None:
        raise ReknitError(
            f"the tokenizer of {model.name} cannot be replaced: that is done for {', '.join(_KINDS)}, whose positions "
            "do not depend on it; give such a model with --start"
        )
    return kind


def writes_lower_case(tokenizer: Tokenizer) -> bool:
    """Whether a tokenizer takes upper and lower case for the same."""
    upper, lower = tokenizer.encode_batch(["A QUICK TEXT", "a quick text"], 32)
    same: bool = upper.tokens.tolist() == lower.tokens.tolist()
    return same


def with_vocabulary(model: EmbeddingModel, tokenizer: Tokenizer, rows: Tensor) -> EmbeddingModel:
    """A copy of the model with this tokenizer and token table, [vocabulary, dim].

    Its query expansion, which was made for the vectors of before, is left out. The model must be one of those that
    `tokenizer_kind` takes.
    """
    encoder = copy.deepcopy(model.encoder)
    assert isinstance(encoder, HuggingFaceEncoder), "tokenizer_kind has said so"
    table = nn.Embedding(rows.shape[0], rows.shape[1], device=encoder.table.device)
    with torch.no_grad():
        table.weight.copy_(rows)
    encoder.tokens = table
    encoder.config = replace(encoder.config, vocabulary=len(rows))
    ids = {key: getattr(tokenizer.hf, key, None) for key in _IDS if encoder.source.get(key) is not None}
    encoder.source = {**encoder.source, "vocab_size": len(rows), **ids}
    return EmbeddingModel(
        encoder,
        tokenizer,
        pooling=model.pooling,
        normalize=model.normalize,
        max_length=model.max_length,
        prompts=model.prompts,
        default_prompt=model.default_prompt,
        dims=model.dims,
        similarity=model.similarity,
        name=model.name,
    )
