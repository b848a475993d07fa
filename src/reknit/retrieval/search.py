"""Search the index of a run with the model beside it."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reknit.errors import ReknitError
from reknit.retrieval.first_pass import Size
from reknit.retrieval.fusion import EQUAL_PARTS
from reknit.retrieval.index import Index, Mode

if TYPE_CHECKING:
    from reknit.models.embedder import Embedder

HYBRID_WEIGHT = "hybrid_weight"
"""Key of the index's details: the dense ranking's weight in hybrid search, as the probe chose it."""


def search_run(
    run: Path,
    query: str,
    *,
    top: int = 10,
    mode: Mode = "hybrid",
    layers: int | None = None,
    first_pass: Size | None = None,
) -> list[dict[str, Any]]:
    """The best passages for a query: dicts of id, title, text and score, best first.

    layers: encode the query with the model's first so many layers only. first_pass: as `Index.search` has it. Mode
    "text" loads no model, nor torch. Raises ReknitError when `run` holds no finished run, or for more layers than the
    model has.
    """
    if not (run / "index").is_dir():
        raise ReknitError(f"{run} has no index/: give the run folder of a finished `reknit adapt`")
    index = Index.open(run / "index")
    if mode == "text":
        return search(index, None, query, top=top, mode=mode)
    from reknit.models.loading import load_model

    model = load_model(run / "model")
    return search(index, model, query, top=top, mode=mode, layers=layers, first_pass=first_pass)


def search(
    index: Index,
    model: Embedder | None,
    query: str,
    *,
    top: int = 10,
    mode: Mode = "hybrid",
    layers: int | None = None,
    first_pass: Size | None = None,
) -> list[dict[str, Any]]:
    """As `search_run`, on an open index; `model` may be None in mode "text"."""
    vector = None
    if model is not None:
        vector = model.comparable(model.encode([query], prompt_name="query", layers=layers))[0]
    hits = index.search(vector, query, top, mode, hybrid_weight=_hybrid_weight(index), first_pass=first_pass)
    return [asdict(hit) for hit in hits]


def _hybrid_weight(index: Index) -> float:
    stored = index.details.get(HYBRID_WEIGHT, EQUAL_PARTS)
    try:
        return float(stored)
    except ValueError:
        raise ReknitError(f"index {index.folder} has the {HYBRID_WEIGHT} {stored!r}: build it again") from None
