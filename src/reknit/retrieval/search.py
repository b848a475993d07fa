"""Search an open index with the model that made its vectors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reknit.retrieval.first_pass import Size
from reknit.retrieval.fusion import EQUAL_PARTS
from reknit.retrieval.index import Hit, Index, Mode

if TYPE_CHECKING:
    from reknit.models.embedder import Embedder


def search(
    index: Index,
    model: Embedder | None,
    query: str,
    *,
    top: int = 10,
    mode: Mode = "hybrid",
    hybrid_weight: float = EQUAL_PARTS,
    layers: int | None = None,
    first_pass: Size | None = None,
) -> list[Hit]:
    """The best passages for a query, best first.

    model: None in mode "text". layers: encode the query with the model's first `layers` layers only. The rest is as for
    `Index.search`. Raises ReknitError for more layers than the model has.
    """
    vector = None
    if model is not None:
        vector = model.comparable(model.encode([query], prompt_name="query", layers=layers))[0]
    return index.search(vector, query, top, mode, hybrid_weight=hybrid_weight, first_pass=first_pass)
