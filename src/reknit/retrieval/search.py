"""Search the index of a run with the model beside it."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reknit.errors import ReknitError
from reknit.retrieval.index import Index, Mode

if TYPE_CHECKING:
    from reknit.encoders.embedding_model import EmbeddingModel

HYBRID_WEIGHT = "hybrid_weight"
"""Key of the index's details: the dense ranking's weight in hybrid search, as the probe chose it."""


def search_run(run: Path, query: str, *, top: int = 10, mode: Mode = "hybrid") -> list[dict[str, Any]]:
    """The best passages for a query: dicts of id, title, text and score, best first.

    Mode "text" loads no model, nor torch. Raises ReknitError when `run` holds no finished run.
    """
    if not (run / "index").is_dir():
        raise ReknitError(f"{run} has no index/: give the run folder of a finished `reknit adapt`")
    index = Index.open(run / "index")
    if mode == "text":
        return search(index, None, query, top=top, mode=mode)
    from reknit.encoders.embedding_model import EmbeddingModel

    return search(index, EmbeddingModel.load(run / "model"), query, top=top, mode=mode)


def search(
    index: Index, model: EmbeddingModel | None, query: str, *, top: int = 10, mode: Mode = "hybrid"
) -> list[dict[str, Any]]:
    """As `search_run`, on an open index; `model` may be None in mode "text"."""
    vector = None if model is None else model.comparable(model.encode([query], prompt_name="query"))[0]
    weight = float(index.details.get(HYBRID_WEIGHT, 0.5))
    return [asdict(hit) for hit in index.search(vector, query, top, mode, hybrid_weight=weight)]
