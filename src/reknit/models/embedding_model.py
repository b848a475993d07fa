"""A text embedding model: tokenizer, encoder, pooling and normalisation, with fast inference."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, cast, final, get_args

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from reknit.data.batch import View, Vocabulary
from reknit.encoders.base import TokenEncoder
from reknit.encoders.native.encoder import NativeEncoder
from reknit.encoders.native.packed_weights import WeightsWatch, can_be_packed, packed_for_inference
from reknit.encoders.pooling import pool
from reknit.encoders.pooling_modes import POOLING_MODES, TRAINED_POOLINGS
from reknit.errors import ReknitError
from reknit.models.embedder import Embedder, OnProgress, Precision, Similarity, check_texts
from reknit.models.packed_batches import packed_batches
from reknit.models.query_expansion import QueryExpansion
from reknit.tokenizers.tokenizer import Tokenizer


@final
class EmbeddingModel(Embedder):
    """Texts in, vectors out, the way sentence-transformers computes them.

    encoder, tokenizer: what is trained and exported. pooling: "cls", "mean", "max" or "last", or the name of the
    encoder's own trained pooling. normalize: rows get length 1. max_length: tokens per text at most, special tokens
    included. prompts: {name: text put in front}. default_prompt: name of the prompt used when `encode` is given none.
    dims: dimensions kept of each vector (None means all); the model's own default for `encode`. similarity: what two
    of its vectors are compared by, "cosine" or "dot"; `encode` does not depend on it, `comparable` does. expansion:
    what queries know of a corpus's words, None for most models. name: for tables and messages.
    """

    def __init__(
        self,
        encoder: TokenEncoder,
        tokenizer: Tokenizer,
        *,
        pooling: str = "mean",
        normalize: bool = True,
        max_length: int = 512,
        prompts: dict[str, str] | None = None,
        default_prompt: str | None = None,
        dims: int | None = None,
        similarity: Similarity = "cosine",
        expansion: QueryExpansion | None = None,
        name: str = "model",
    ) -> None:
        own = () if encoder.pooler is None else (encoder.pooler.kind,)
        if pooling in TRAINED_POOLINGS and pooling not in own:
            raise ReknitError(f"{name} has no trained pooling {pooling!r}, which is made with a new encoder only")
        if pooling not in (*POOLING_MODES, *own):
            raise ReknitError(f"unknown pooling {pooling!r}; use one of {', '.join((*POOLING_MODES, *own))}")
        if similarity not in get_args(Similarity):
            raise ReknitError(f"unknown similarity {similarity!r}; use one of {', '.join(get_args(Similarity))}")
        limit = getattr(encoder, "max_positions", None)
        self.encoder = encoder
        self.tokenizer = tokenizer
        self.pooling = pooling
        self.normalize = normalize
        self.max_length = max_length if limit is None else min(max_length, limit)
        self.prompts = dict(prompts or {})
        self.default_prompt = default_prompt
        self.dims = dims
        self.similarity = similarity
        self.expansion = expansion
        self.name = name
        self._packed: tuple[WeightsWatch, NativeEncoder] | None = None
        self._check_size(None, dims)
        if expansion is not None:
            expansion.check_width(self.dim)

    def __getstate__(self) -> dict[str, Any]:
        # Packed weights can neither be copied nor pickled; a copy packs its own when it first encodes.
        return self.__dict__ | {"_packed": None}

    @property
    def vocabulary(self) -> Vocabulary:
        """Of its tokenizer."""
        return self.tokenizer.vocabulary

    @property
    def dim(self) -> int:
        """Width of the vectors that `encode` gives by default."""
        return self.dims or self.encoder.dim

    @property
    def pools_by_training(self) -> bool:
        """Whether a trained pooling makes the vectors, which other libraries cannot run."""
        return self.pooling in TRAINED_POOLINGS

    def without_trained_pooling(self) -> EmbeddingModel:
        """The model as other libraries run it: the mean of the tokens in place of a trained pooling."""
        plain = copy.copy(self)
        plain.pooling = "mean" if self.pools_by_training else self.pooling
        return plain

    def encode(
        self,
        texts: Sequence[str],
        *,
        layers: int | None = None,
        dims: int | None = None,
        prompt_name: str | None = None,
        precision: Precision = "float32",
        tokens_per_batch: int = 4096,
        on_progress: OnProgress | None = None,
    ) -> np.ndarray:
        """Encode texts, in any order of lengths and of any number, without gradient and without dropout.

        texts: strings; an empty one is allowed. layers: use only the first `layers` layers. dims: keep only the first
        `dims` dimensions, then normalise again. prompt_name: which of `prompts` to put in front of each text; "query"
        and "document" mean the default prompt in a model without such a prompt; "query" also applies the model's
        `expansion`, where it has one and all layers are used. precision: "bfloat16" runs the matrix products in
        bfloat16. tokens_per_batch: tokens (without padding) encoded at once. on_progress: called with (texts done,
        texts).

        Returns float32 [len(texts), dims]; zeros for a text without a single token. Threads may call this at once on a
        model in evaluation mode, as it is when loaded. Raises ReknitError for something else than a list of strings, an
        unknown prompt or precision, layers and dims that the model does not have, or more dims of a query than its
        expansion has.
        """
        check_texts(texts)
        if precision not in get_args(Precision):
            raise ReknitError(f"there is no precision {precision!r}: choose {' or '.join(get_args(Precision))}")
        dims = self.dims if dims is None else dims
        self._check_size(layers, dims)
        prompt = self.prompt_text(prompt_name)
        vectors = np.empty((len(texts), dims or self.encoder.dim), dtype=np.float32)
        encoder, autocast = self._in_precision(precision)
        was_training = encoder.training
        if was_training:
            encoder.eval()
        try:
            with torch.inference_mode(), autocast:
                done = 0
                for rows, view in packed_batches(
                    texts, prompt, self._tokens_of, tokens_per_batch, self.encoder.table.device
                ):
                    # A tokenizer without special tokens makes nothing of an empty text.
                    empty = view.tokens.numel() == 0
                    vectors[rows] = 0.0 if empty else self._embed(encoder, view, layers, dims).float().cpu().numpy()
                    done += len(rows)
                    if on_progress is not None:
                        on_progress(done, len(texts))
        finally:
            if was_training:
                encoder.train()
        if prompt_name == "query" and self.expansion is not None and layers in (None, encoder.depth):
            return self.expansion.expand(texts, vectors)
        return vectors

    @property
    def has_unit_vectors(self) -> bool:
        return self.normalize

    def _in_precision(self, precision: Precision) -> tuple[TokenEncoder, AbstractContextManager[Any]]:
        """The encoder that computes in `precision`, and the context it must run in."""
        if precision == "float32":
            return self.encoder, nullcontext()
        if not can_be_packed(self.encoder):
            return self.encoder, torch.autocast(self.encoder.table.device.type, torch.bfloat16)
        if self._packed is None or self._packed[0].changed(self.encoder):
            # Watched from before the packing, so that a change by another thread meanwhile is not missed.
            self._packed = WeightsWatch(self.encoder), packed_for_inference(cast(NativeEncoder, self.encoder))
        return self._packed[1], nullcontext()

    def _embed(self, encoder: TokenEncoder, view: View, layers: int | None, dims: int | None) -> Tensor:
        """[N, dims] vectors of one packed batch."""
        encoded = encoder(view, layers=[encoder.depth if layers is None else layers])
        pooled = pool(encoded, self.pooling).float()[:, :dims]
        return F.normalize(pooled, dim=-1) if self.normalize else pooled

    def _tokens_of(self, texts: list[str]) -> list[np.ndarray]:
        return [tokenised.tokens for tokenised in self.tokenizer.encode_batch(texts, self.max_length)]

    def _check_size(self, layers: int | None, dims: int | None) -> None:
        if layers is not None and not 1 <= layers <= self.encoder.depth:
            raise ReknitError(f"{self.name} has {self.encoder.depth} layers; {layers} cannot be used")
        if layers not in (None, self.encoder.depth) and self.pools_by_training:
            raise ReknitError(
                f"{self.name} pools by {self.pooling}, which was trained for all {self.encoder.depth} layers; "
                f"{layers} alone cannot be used"
            )
        if dims is not None and not 1 <= dims <= self.encoder.dim:
            raise ReknitError(f"{self.name} has vectors of {self.encoder.dim} dimensions; {dims} cannot be kept")
