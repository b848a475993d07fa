"""Models that are there as an ONNX file only, int8 ones among them, run by onnxruntime."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, final

import numpy as np
import torch

from reknit.encoders.base import Encoded
from reknit.encoders.pooling import pool
from reknit.encoders.pooling_modes import POOLING_MODES
from reknit.errors import ReknitError
from reknit.jobs.files import written_aside
from reknit.models.embedder import ForeignEmbedder, OnProgress, Precision, Similarity
from reknit.models.onnx_file import onnx_file
from reknit.models.packed_batches import packed_batches
from reknit.models.sentence_folder import SentenceFolder, modules_of, pooling_config, read_max_length
from reknit.tokenizers.tokenizer import Tokenizer

_KEPT = (
    "config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "vocab.txt",
    "sentence_bert_config.json",
)
_SENTENCE_OUTPUTS = ("sentence_embedding", "sentence_embeddings", "text_embeds")


@final
class OnnxModel(ForeignEmbedder):
    """Encodes with an ONNX file; it can be measured and searched with, teaches others, and cannot be trained, cut or
    exported. Of an int8 file with dynamic scales, the vector of a text differs a little with the texts beside it."""

    runs_by = "onnxruntime"

    def __init__(self, folder: Path, name: str, described: SentenceFolder, similarity: Similarity) -> None:
        """Raises ReknitError without onnxruntime, for a file that it cannot load, and for a pooling that is not known.

        The file gives vectors of texts, or states of tokens, which are pooled as the folder says.
        """
        try:
            import onnxruntime
        except ImportError as error:
            needed = "install onnxruntime to run it (pip install reknit[onnx])"
            raise ReknitError(f"{folder} is an ONNX model: {needed}") from error
        path = onnx_file(folder)
        assert path is not None
        try:
            self._session: Any = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        except Exception as error:  # of a dozen unrelated kinds
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise ReknitError(f"{path} cannot be loaded by onnxruntime ({reason[:200]})") from error
        if described.pooling not in POOLING_MODES:
            raise ReknitError(f"{folder} pools by {described.pooling!r}, which reknit does not do for an ONNX model")
        self._pooling, self._normalize = described.pooling, described.normalize
        # Read now: the folder may belong to the run that the model will be a part of.
        self._files = {name: (folder / name).read_bytes() for name in _KEPT if (folder / name).is_file()}
        self._files["onnx/model.onnx"] = path.read_bytes()
        self._inputs = {one.name for one in self._session.get_inputs()}
        if unknown := self._inputs - {"input_ids", "attention_mask", "token_type_ids"}:
            raise ReknitError(f"{path} asks for {', '.join(sorted(unknown))}, which reknit does not give it")
        outputs = [one.name for one in self._session.get_outputs()]
        self._output = next((one for one in _SENTENCE_OUTPUTS if one in outputs), outputs[0])
        self._tokenizer = Tokenizer.load(folder)
        self.name = name
        self.prompts = dict(described.prompts)
        self.default_prompt = described.default_prompt
        self.similarity = similarity
        self.dims = described.dims
        self.max_length = read_max_length(folder)
        self._dim = self._run([np.array(self._tokenizer.encode_batch(["a"], 8)[0].tokens)]).shape[1]

    @property
    def has_unit_vectors(self) -> bool:
        return self._normalize

    @property
    def dim(self) -> int:
        """Width of the vectors that `encode` gives by default."""
        return self.dims or self._dim

    def save(self, folder: Path) -> None:
        """Write the model as a sentence-transformers folder with an ONNX file; one that is there is replaced."""
        described: dict[str, Any] = {
            "modules.json": modules_of(["Transformer", "Pooling"] + ["Normalize"] * self._normalize),
            "1_Pooling/config.json": pooling_config(self._pooling, self._dim),
            "config_sentence_transformers.json": {
                "prompts": self.prompts,
                "default_prompt_name": self.default_prompt,
                "similarity_fn_name": self.similarity,
            },
        }
        with written_aside(folder) as aside:
            for name, content in self._files.items():
                (aside / name).parent.mkdir(parents=True, exist_ok=True)
                (aside / name).write_bytes(content)
            for name, value in described.items():
                (aside / name).parent.mkdir(parents=True, exist_ok=True)
                (aside / name).write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")

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
        """As `EmbeddingModel.encode`, always in the file's own precision. Raises ReknitError when `layers` is given."""
        dims = self.dims if dims is None else dims
        self._check_asked(texts, layers, dims, self._dim)
        vectors = np.empty((len(texts), dims or self._dim), dtype=np.float32)
        done = 0
        prompt = self.prompt_text(prompt_name)
        for rows, view in packed_batches(texts, prompt, self._tokens_of, tokens_per_batch, torch.device("cpu")):
            ends = view.cu_seqlens.tolist()
            tokens = view.tokens.numpy()
            found = self._run([tokens[first:end] for first, end in pairwise(ends)])[:, :dims]
            if self._normalize:
                found = found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-12)
            vectors[rows] = found
            done += len(rows)
            if on_progress is not None:
                on_progress(done, len(texts))
        return vectors

    def _tokens_of(self, texts: list[str]) -> list[np.ndarray]:
        return [tokenised.tokens for tokenised in self._tokenizer.encode_batch(texts, self.max_length)]

    def _run(self, sequences: list[np.ndarray]) -> np.ndarray:
        """[sequences, dim] vectors, not normalised; zeros for a sequence without tokens."""
        longest = max(1, *map(len, sequences))
        ids = np.full((len(sequences), longest), self._tokenizer.vocabulary.pad, dtype=np.int64)
        mask = np.zeros_like(ids)
        for row, sequence in enumerate(sequences):
            ids[row, : len(sequence)], mask[row, : len(sequence)] = sequence, 1
        given = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        (states,) = self._session.run([self._output], {name: given[name] for name in self._inputs})
        states = np.asarray(states, dtype=np.float32)
        if states.ndim == 2:
            return states
        return pooled(states, mask.astype(np.float32), self._pooling)


def pooled(states: np.ndarray, mask: np.ndarray, pooling: str) -> np.ndarray:
    """[N, T, dim] states and [N, T] mask -> [N, dim], by `pool`."""
    kept = mask > 0
    offsets = torch.from_numpy(np.concatenate([[0], kept.sum(axis=1).cumsum()]))
    packed = Encoded({0: torch.from_numpy(states[kept])}, offsets, torch.from_numpy(np.nonzero(kept)[1]), depth=0)
    vectors: np.ndarray = pool(packed, pooling).numpy()
    return vectors
