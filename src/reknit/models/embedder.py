"""What every text embedding model offers, whichever library runs it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from reknit.errors import ReknitError
from reknit.models.query_expansion import QueryExpansion

Precision = Literal["float32", "bfloat16"]
Similarity = Literal["cosine", "dot"]
OnProgress = Callable[[int, int], None]

# Prompts that a model is asked for whether it has them or not; without them its default prompt is used, if any.
OPTIONAL_PROMPTS = ("query", "document")


class Embedder(ABC):
    """Texts in, vectors out.

    name: for tables and messages. prompts: {name: text put in front}. default_prompt: name of the prompt used when
    `encode` is given none. dims: dimensions kept of each vector, None for all. max_length: tokens per text at most.
    similarity: what two of its vectors are compared by. expansion: what queries know of a corpus's words, or None.
    """

    name: str
    prompts: dict[str, str]
    default_prompt: str | None
    dims: int | None
    max_length: int
    similarity: Similarity
    expansion: QueryExpansion | None = None

    @property
    @abstractmethod
    def dim(self) -> int:
        """Width of the vectors that `encode` gives by default."""

    @property
    @abstractmethod
    def has_unit_vectors(self) -> bool:
        """Whether all vectors are known to have length 1."""

    @abstractmethod
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
        """[len(texts), dims] float32; see `EmbeddingModel.encode`."""

    def comparable(self, vectors: np.ndarray) -> np.ndarray:
        """[n, dim] vectors of `encode` -> [n, dim] float32 whose dot products are the model's similarity.

        Index and evaluation rank by dot product. A model that is compared by cosine need not normalise its vectors
        itself: sentence-transformers leaves that to its `similarity`.
        """
        if self.similarity == "dot" or self.has_unit_vectors:
            return vectors
        # Broken vectors (NaN, infinity) stay so, for those who rank them to report.
        with np.errstate(invalid="ignore"):
            unit: np.ndarray = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), np.float32(1e-12))
            return unit

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


class ForeignEmbedder(Embedder):
    """A model that another library runs: it is measured and searched with, and neither trained nor cut nor exported.

    runs_by: the library.
    """

    runs_by: str

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Write the model to the folder, as it was; one that is there is replaced."""

    def _check_asked(self, texts: Any, layers: int | None, dims: int | None, width: int) -> None:
        """Raise ReknitError for anything but texts, for layers, and for dims beyond `width`, which is all there are."""
        check_texts(texts)
        if layers is not None:
            raise ReknitError(f"{self.name} runs only through {self.runs_by}; its layers cannot be cut")
        if dims is not None and not 1 <= dims <= width:
            raise ReknitError(f"{self.name} has vectors of {width} dimensions; {dims} cannot be kept")


def check_texts(texts: Any) -> None:
    """Raise ReknitError unless `texts` is a sequence of strings."""
    if isinstance(texts, (str, bytes)):
        raise ReknitError("encode needs a list of texts; put the single text into a list")
    if not hasattr(texts, "__len__") or not hasattr(texts, "__getitem__") or isinstance(texts, Mapping):
        raise ReknitError(f"encode needs a list of texts, not a {type(texts).__name__}; make a list of it")
    for number, text in enumerate(texts):
        if not isinstance(text, str):
            raise ReknitError(f"text {number} is a {type(text).__name__}, not a string; leave it out or convert it")
