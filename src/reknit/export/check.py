"""Prove that an exported folder gives the same vectors in every library that will load it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from reknit.encoders.huggingface.families import family_of
from reknit.encoders.model_files import read_json
from reknit.errors import ReknitError
from reknit.export.sentence_transformers import only_here
from reknit.jobs.quiet import quiet_libraries
from reknit.models.embedding_model import EmbeddingModel
from reknit.models.loading import load_embedding_model
from reknit.models.sentence_folder import read_sentence_folder
from reknit.runs.result import ExportCheck

MAX_DIFFERENCE = 1e-4
MIN_COSINE = 0.9999

SAMPLE_TEXTS = (
    "A short text.",
    "The quick brown fox jumps over the lazy dog, and then it goes home to sleep for the rest of the day.",
    "naïve café, 東京, Привет, 😀 and some numbers: 3.14159, 2026-01-31",
    "def add(a, b):\n    return a + b",
)


class PlainTransformer(nn.Module):
    """`transformers.AutoModel` with the pooling, truncation and normalisation that a folder's own files describe.

    Written without any of reknit's encoder code, as somebody who has only transformers would do it.
    """

    def __init__(self, folder: Path, **model_options: Any) -> None:
        super().__init__()
        from transformers import AutoModel

        with quiet_libraries():
            self.model = AutoModel.from_pretrained(
                folder, trust_remote_code=False, use_safetensors=True, dtype=torch.float32, **model_options
            )
        described = read_sentence_folder(folder)
        self.pooling, self.dims, self.normalize = described.pooling, described.dims, described.normalize

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> tuple[Tensor, Tensor]:
        """[b, L] ids and mask -> [b, dims] sentence embeddings and [b, L, dim] hidden states."""
        hidden = self.model(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        mask = attention_mask.unsqueeze(-1).to(hidden.dtype)
        if self.pooling == "mean":
            pooled = (hidden * mask).sum(dim=1) / mask.sum(dim=1).clamp(min=1e-9)
        elif self.pooling == "max":
            pooled = hidden.masked_fill(mask == 0, -torch.inf).amax(dim=1)
        elif self.pooling == "cls":
            pooled = hidden[:, 0]
        else:
            is_last = mask * (mask.cumsum(dim=1) == mask.sum(dim=1, keepdim=True))
            pooled = (hidden * is_last).sum(dim=1)
        pooled = pooled[:, : self.dims] if self.dims is not None else pooled
        return (nn.functional.normalize(pooled, dim=-1) if self.normalize else pooled), hidden


def check_export(model: EmbeddingModel, folder: str | Path, texts: Sequence[str] = ()) -> ExportCheck:
    """Encode the same texts with `model` and with `folder` as loaded by reknit, transformers and sentence-transformers.

    The folder may be a smaller size of the model (fewer layers, fewer dims): the model is then run at that size. An
    empty text and one longer than the model reads are always added to `texts` (a small sample when none are given).
    A trained pooling, which only reknit runs, is compared as reknit loads it again; the plain mean in all three. So is
    an encoder that only reknit runs.
    Raises ReknitError when any library is further away than 1e-4 (absolute) or 0.9999 (cosine), naming it.
    """
    folder = Path(folder)
    sample = _with_extremes(list(texts) or list(SAMPLE_TEXTS), model.max_length)
    layers, dims = _size_of(model, folder)
    loaded = load_embedding_model(folder)
    _check_expansion(model, loaded, sample, dims)
    plain = model.without_trained_pooling()
    expected = plain.encode(sample, layers=layers, dims=dims)
    found = {"reknit": loaded.without_trained_pooling().encode(sample)}
    if not only_here(model):
        found |= {
            "transformers": encode_with_transformers(folder, sample, model.prompt_text(None)),
            "sentence-transformers": _encode_with_sentence_transformers(folder, sample),
        }
    results = {library: (vectors, expected) for library, vectors in found.items()}
    if model.pools_by_training:
        results["reknit, trained pooling"] = loaded.encode(sample), model.encode(sample, dims=dims)
    for library, (vectors, wanted) in results.items():
        if vectors.shape != wanted.shape:
            raise ReknitError(
                f"the exported folder {folder} gives vectors of shape {vectors.shape} in {library}, "
                f"not {wanted.shape}; do not use it"
            )
    against = {library: float(np.abs(vectors - wanted).max()) for library, (vectors, wanted) in results.items()}
    cosines = {library: float(_cosines(vectors, wanted).min()) for library, (vectors, wanted) in results.items()}
    check = ExportCheck(max(against.values()), min(cosines.values()), against, len(sample))
    # Written so that NaN fails too.
    wrong = [
        library for library in results if not (against[library] <= MAX_DIFFERENCE and cosines[library] >= MIN_COSINE)
    ]
    if wrong:
        raise ReknitError(
            f"the exported folder {folder} gives other vectors in {', '.join(wrong)}: largest difference "
            f"{check.max_abs_diff:.2g}, smallest cosine {check.cosine:.6f}; do not use it"
        )
    return check


def _check_expansion(model: EmbeddingModel, loaded: EmbeddingModel, sample: list[str], dims: int | None) -> None:
    if loaded.expansion is None:
        return
    expected = model.encode(sample, prompt_name="query", dims=dims)
    difference = np.abs(loaded.encode(sample, prompt_name="query") - expected).max()
    if not difference <= MAX_DIFFERENCE:
        raise ReknitError(f"query expansion of the exported model differs by {difference:.2g}; do not use it")


def encode_with_transformers(folder: Path, texts: Sequence[str], prompt: str = "") -> np.ndarray:
    """float32 [n, dims] by transformers alone, all texts in one padded batch."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    plain = PlainTransformer(folder).eval()
    inputs = tokenizer([prompt + text for text in texts], padding=True, truncation=True, return_tensors="pt")
    with torch.inference_mode():
        vectors, _ = plain(inputs["input_ids"], inputs["attention_mask"])
    found: np.ndarray = vectors.float().numpy()
    return found


def _encode_with_sentence_transformers(folder: Path, texts: list[str]) -> np.ndarray:
    from sentence_transformers import SentenceTransformer

    with quiet_libraries():
        model = SentenceTransformer(str(folder), device="cpu", trust_remote_code=False, local_files_only=True)
    return np.asarray(model.encode(texts, show_progress_bar=False), dtype=np.float32)


def _with_extremes(texts: list[str], max_length: int) -> list[str]:
    # A word is a token at least, so this many are always cut off.
    longest = " ".join(["word"] * (max_length + 50))
    return ["", *texts, longest]


def _size_of(model: EmbeddingModel, folder: Path) -> tuple[int | None, int | None]:
    """(layers, dims) of the folder, None where it has the full size."""
    config = read_json(folder / "config.json")
    family = family_of(str(config.get("model_type")))
    depth = config.get(family.depth_key) if family else None
    layers = depth if isinstance(depth, int) and depth < model.encoder.depth else None
    return layers, read_sentence_folder(folder).dims


def _cosines(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    norms = np.linalg.norm(left, axis=1) * np.linalg.norm(right, axis=1)
    cosines: np.ndarray = (left * right).sum(axis=1) / np.maximum(norms, 1e-12)
    return cosines
