"""A text embedding model: tokenizer, encoder, pooling and normalisation, with fast inference."""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, ClassVar, Literal, cast, get_args

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from reknit.data.batch import View
from reknit.encoders.base import Encoder
from reknit.encoders.huggingface import load_encoder
from reknit.encoders.inference import WeightsWatch, can_be_packed, packed_for_inference
from reknit.encoders.model_files import local_folder
from reknit.encoders.native import NativeEncoder
from reknit.encoders.pooling import POOLING_MODES, TRAINED_POOLINGS, pool
from reknit.encoders.query_expansion import FOLDER as EXPANSION
from reknit.encoders.query_expansion import QueryExpansion
from reknit.encoders.sentence_folder import SentenceFolder, read_max_length, read_sentence_folder
from reknit.encoders.trained_pooling import FOLDER as TRAINED_POOLING
from reknit.encoders.trained_pooling import TrainedPooling
from reknit.errors import ReknitError
from reknit.tokenizers.tokenizer import Tokenizer

Precision = Literal["float32", "bfloat16"]
Similarity = Literal["cosine", "dot"]
OnProgress = Callable[[int, int], None]

# Texts tokenised and sorted together: enough that batches of like length form, few enough that a corpus of any size
# needs little memory. The next window is tokenised while the current one is encoded.
WINDOW = 8192
# Prompts that a model is asked for whether it has them or not; without them its default prompt is used, if any.
OPTIONAL_PROMPTS = ("query", "document")


class EmbeddingModel:
    """Texts in, vectors out, the way sentence-transformers computes them.

    encoder, tokenizer: what is trained and exported. pooling: "cls", "mean", "max" or "last", or the name of the
    encoder's own trained pooling. normalize: rows get length 1. max_length: tokens per text at most, special tokens
    included. prompts: {name: text put in front}. default_prompt: name of the prompt used when `encode` is given none.
    dims: coordinates kept of each vector (None means all); the model's own default for `encode`. similarity: what two
    of its vectors are compared by, "cosine" or "dot"; `encode` does not depend on it, `comparable` does. expansion:
    what queries know of a corpus's words, None for most models. name: for tables and messages. can_be_trained: False in
    `SentenceTransformerModel`, which can only encode.
    """

    can_be_trained: ClassVar[bool] = True
    encoder: Encoder
    tokenizer: Tokenizer
    pooling: str
    normalize: bool
    max_length: int
    prompts: dict[str, str]
    default_prompt: str | None
    dims: int | None
    similarity: Similarity
    expansion: QueryExpansion | None = None
    name: str

    def __init__(
        self,
        encoder: Encoder,
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

    @classmethod
    def load(cls, path_or_id: str | Path) -> EmbeddingModel:
        """Load a sentence-transformers folder, a plain transformers folder, a reknit run folder or a hub id.

        A plain transformers folder says nothing about pooling: mean and normalisation are used, and a line on stderr
        says so. A similarity other than cosine and dot product is taken for cosine, which a line on stderr says too. A
        folder with modules other than Transformer, Pooling and Normalize gives a `SentenceTransformerModel`, which
        encodes but cannot be trained or exported. A `trained_pooling/` in the folder makes the vectors. Raises
        ReknitError as `load_encoder` does.
        """
        folder = local_folder(path_or_id)
        # A run folder has a config.json too, of another kind.
        if not (folder / "modules.json").exists() and (folder / "model" / "modules.json").exists():
            folder = folder / "model"
        name = str(path_or_id).rstrip("/").rsplit("/", 1)[-1]
        if not (folder / "modules.json").exists():
            print(
                f"note: {path_or_id} does not say how to make one vector per text; using mean pooling and normalising",
                file=sys.stderr,
            )
            described = SentenceFolder(transformer=folder)
        else:
            described = read_sentence_folder(folder)
        similarity = _similarity(described.similarity, path_or_id)
        if described.unsupported:
            from reknit.encoders.sentence_transformer_model import SentenceTransformerModel

            print(
                f"note: {path_or_id} has {described.unsupported}; running it through sentence-transformers, "
                "so it can be measured but not trained",
                file=sys.stderr,
            )
            return SentenceTransformerModel(folder, name, described, similarity)
        encoder = load_encoder(described.transformer)
        tokenizer = Tokenizer.load(described.transformer)
        if tokenizer.vocabulary.size > encoder.table.shape[0]:
            raise ReknitError(
                f"{path_or_id}: the tokenizer has {tokenizer.vocabulary.size} tokens but the embedding table only "
                f"{encoder.table.shape[0]} rows; tokenizer and weights do not belong together"
            )
        pooling = described.pooling
        if (folder / TRAINED_POOLING).is_dir():
            encoder.pooler = TrainedPooling.load(folder / TRAINED_POOLING, encoder.dim, encoder.depth)
            pooling = encoder.pooler.kind
        return cls(
            encoder,
            tokenizer,
            pooling=pooling,
            normalize=described.normalize,
            max_length=read_max_length(described.transformer),
            prompts=described.prompts,
            default_prompt=described.default_prompt,
            dims=described.dims,
            similarity=similarity,
            expansion=QueryExpansion.load(folder / EXPANSION) if (folder / EXPANSION).is_dir() else None,
            name=name,
        )

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

        texts: strings; an empty one is allowed. layers: use the first so many layers only. dims: keep the first so many
        coordinates, then normalise again. prompt_name: which of `prompts` to put in front of each text; "query" and
        "document" mean the default prompt in a model without such a prompt; "query" also applies the model's
        `expansion`, where it has one and all layers are used. precision: "bfloat16" runs the matrix
        products in bfloat16. tokens_per_batch: tokens (no padding) encoded at once. on_progress: called with (texts
        done, texts).

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
                for rows, view in self._views(texts, prompt, tokens_per_batch):
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

    def comparable(self, vectors: np.ndarray) -> np.ndarray:
        """[n, dim] vectors of `encode` -> [n, dim] float32 whose dot products are the model's similarity.

        Index and evaluation rank by dot product. A model that is compared by cosine need not normalise its vectors
        itself: sentence-transformers leaves that to its `similarity`.
        """
        if self.similarity == "dot" or self._has_unit_vectors:
            return vectors
        # Broken vectors (NaN, infinity) stay so, for those who rank them to report.
        with np.errstate(invalid="ignore"):
            return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), np.float32(1e-12))

    @property
    def _has_unit_vectors(self) -> bool:
        return self.normalize

    @property
    def side_prompts(self) -> dict[str, str]:
        """What is put before queries and documents, {"query": ..., "document": ...}, as far as it is anything."""
        return {kind: text for kind in OPTIONAL_PROMPTS if (text := self.prompt_text(kind))}

    def prompt_text(self, prompt_name: str | None) -> str:
        """The text put in front for a prompt name; None means the model's default prompt.

        "query" and "document" mean no prompt in a model that has none of that name, as in sentence-transformers'
        `encode_query` and `encode_document`. Raises ReknitError for any other name that is not in `prompts`.
        """
        if prompt_name is None:
            return self.prompts.get(self.default_prompt, "") if self.default_prompt else ""
        if prompt_name not in self.prompts and prompt_name not in OPTIONAL_PROMPTS:
            raise ReknitError(f"{self.name} has no prompt {prompt_name!r}; it has {sorted(self.prompts) or 'none'}")
        return self.prompts.get(prompt_name, "")

    def _in_precision(self, precision: Precision) -> tuple[Encoder, AbstractContextManager]:
        """The encoder that computes in `precision`, and the context it must run in."""
        if precision == "float32":
            return self.encoder, nullcontext()
        if not can_be_packed(self.encoder):
            return self.encoder, torch.autocast(self.encoder.table.device.type, torch.bfloat16)
        if self._packed is None or self._packed[0].changed(self.encoder):
            # Watched from before the packing, so that a change by another thread meanwhile is not missed.
            self._packed = WeightsWatch(self.encoder), packed_for_inference(cast(NativeEncoder, self.encoder))
        return self._packed[1], nullcontext()

    def _embed(self, encoder: Encoder, view: View, layers: int | None, dims: int | None) -> Tensor:
        """[N, dims] vectors of one packed batch."""
        encoded = encoder(view, layers=[encoder.depth if layers is None else layers])
        pooled = pool(encoded, self.pooling).float()[:, :dims]
        return F.normalize(pooled, dim=-1) if self.normalize else pooled

    def _views(self, texts: Sequence[str], prompt: str, tokens_per_batch: int) -> Iterator[tuple[np.ndarray, View]]:
        """Packed batches of like length, longest first in each window, with the row number of each text."""

        def tokenise(start: int) -> list[np.ndarray]:
            window = [prompt + text for text in texts[start : start + WINDOW]]
            return [tokenised.tokens for tokenised in self.tokenizer.encode_batch(window, self.max_length)]

        if len(texts) <= WINDOW:
            yield from self._window(0, tokenise(0), tokens_per_batch)
            return
        with ThreadPoolExecutor(max_workers=1) as background:
            upcoming = background.submit(tokenise, 0)
            for start in range(0, len(texts), WINDOW):
                tokens = upcoming.result()
                if start + WINDOW < len(texts):
                    upcoming = background.submit(tokenise, start + WINDOW)
                yield from self._window(start, tokens, tokens_per_batch)

    def _window(self, start: int, tokens: list[np.ndarray], tokens_per_batch: int) -> Iterator[tuple[np.ndarray, View]]:
        for rows in _length_batches([len(sequence) for sequence in tokens], tokens_per_batch):
            yield rows + start, _plain_view([tokens[row] for row in rows], self.encoder.table.device)

    def _check_size(self, layers: int | None, dims: int | None) -> None:
        if layers is not None and not 1 <= layers <= self.encoder.depth:
            raise ReknitError(f"{self.name} has {self.encoder.depth} layers; {layers} cannot be used")
        if layers not in (None, self.encoder.depth) and self.pools_by_training:
            raise ReknitError(
                f"{self.name} pools by {self.pooling}, which was trained for all {self.encoder.depth} layers; "
                f"{layers} alone cannot be used"
            )
        if dims is not None and not 1 <= dims <= self.encoder.dim:
            raise ReknitError(f"{self.name} has vectors of {self.encoder.dim} coordinates; {dims} cannot be kept")


def check_texts(texts: Any) -> None:
    """Raise ReknitError unless `texts` is a sequence of strings."""
    if isinstance(texts, (str, bytes)):
        raise ReknitError("encode needs a list of texts; put the single text into a list")
    if not hasattr(texts, "__len__") or not hasattr(texts, "__getitem__") or isinstance(texts, Mapping):
        raise ReknitError(f"encode needs a list of texts, not a {type(texts).__name__}; make a list of it")
    for number, text in enumerate(texts):
        if not isinstance(text, str):
            raise ReknitError(f"text {number} is a {type(text).__name__}, not a string; leave it out or convert it")


def _similarity(said: str, path_or_id: str | Path) -> Similarity:
    if said == "dot":
        return "dot"
    if said != "cosine":
        print(f"note: {path_or_id} compares vectors by {said}; comparing them by cosine instead", file=sys.stderr)
    return "cosine"


def _length_batches(lengths: list[int], tokens_per_batch: int) -> Iterator[np.ndarray]:
    """Row numbers, longest text first, cut where the token budget is spent (a longer text is a batch of its own)."""
    order = np.argsort(-np.asarray(lengths, dtype=np.int64), kind="stable")
    first, tokens = 0, 0
    for place, row in enumerate(order):
        if place > first and tokens + lengths[row] > tokens_per_batch:
            yield order[first:place]
            first, tokens = place, 0
        tokens += lengths[row]
    if first < len(order):
        yield order[first:]


def _plain_view(sequences: list[np.ndarray], device: torch.device) -> View:
    tokens = torch.from_numpy(np.concatenate(sequences).astype(np.int64, copy=False)).to(device)
    cu_seqlens = torch.tensor([0] + [len(sequence) for sequence in sequences]).cumsum(0).to(device)
    nothing = torch.zeros(tokens.shape, dtype=torch.bool, device=device)
    return View(tokens, cu_seqlens, tokens, nothing, nothing)
