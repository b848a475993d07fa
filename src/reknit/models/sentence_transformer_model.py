"""Models that only sentence-transformers can run, behind the same `encode`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, final

import numpy as np

from reknit.errors import ReknitError
from reknit.jobs.files import written_aside
from reknit.jobs.quiet import quiet_libraries
from reknit.models.embedder import ForeignEmbedder, OnProgress, Precision, Similarity
from reknit.models.sentence_folder import SentenceFolder

_TEXTS_PER_CALL = 1024


@final
class SentenceTransformerModel(ForeignEmbedder):
    """Encodes through the sentence_transformers package; it can be measured, but not trained, cut or exported."""

    runs_by = "sentence-transformers"

    def __init__(self, folder: Path, name: str, described: SentenceFolder, similarity: Similarity) -> None:
        from sentence_transformers import SentenceTransformer

        try:
            with quiet_libraries():
                self._model: Any = SentenceTransformer(
                    str(folder), trust_remote_code=False, local_files_only=True, model_kwargs={"use_safetensors": True}
                )
        except Exception as error:  # every module class may refuse in its own way
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise ReknitError(f"{folder}: sentence-transformers cannot load this model ({reason[:200]})") from error
        self.name = name
        # The package's own list has an empty "query" and "document" also where the folder says nothing of them.
        self.prompts = dict(described.prompts)
        self.default_prompt = described.default_prompt
        self.similarity = similarity
        self.dims = self._model.truncate_dim
        self.max_length = int(self._model.max_seq_length or 512)

    @property
    def has_unit_vectors(self) -> bool:
        return False  # not known: any module may come last

    @property
    def dim(self) -> int:
        """Width of the vectors that `encode` gives by default."""
        return int(self._model.get_embedding_dimension())

    def save(self, folder: Path) -> None:
        """Write the model as its own package writes it; a folder that is there is replaced."""
        with written_aside(folder) as aside, quiet_libraries():
            self._model.save_pretrained(str(aside), safe_serialization=True)

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
        """As `EmbeddingModel.encode`, always in float32. Raises ReknitError when `layers` is given."""
        self._check_asked(texts, layers, dims, self.dim)
        prompt = self.prompt_text(prompt_name)
        vectors = np.empty((len(texts), dims or self.dim), dtype=np.float32)
        for start in range(0, len(texts), _TEXTS_PER_CALL):
            part = list(texts[start : start + _TEXTS_PER_CALL])
            encoded = self._model.encode(
                part,
                prompt=prompt,
                batch_size=max(tokens_per_batch // 128, 1),
                truncate_dim=dims,
                normalize_embeddings=dims is not None,
                show_progress_bar=False,
            )
            vectors[start : start + len(part)] = encoded
            if on_progress is not None:
                on_progress(start + len(part), len(texts))
        return vectors
