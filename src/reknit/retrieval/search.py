"""Search an open index with the model that made its vectors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from reknit.retrieval.first_pass import Size
from reknit.retrieval.fusion import EQUAL_PARTS
from reknit.retrieval.index import Hit, Index, Mode
from reknit.retrieval.system import SearchSystem

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


def search_by(
    index: Index,
    models: Mapping[str, Embedder],
    query: str,
    *,
    top: int = 10,
    system: SearchSystem | None = None,
    layers: int | None = None,
    first_pass: Size | None = None,
) -> list[Hit]:
    """The best passages for a query, best first, by a search system.

    models: {name of the vectors: the model that makes them}, those of the system at least. system: None for the
    index's own. layers: encode the query with the first `layers` layers only. The rest is as for `Index.search_by`.
    """
    system = system or index.system
    vectors = {
        name: models[name].comparable(models[name].encode([query], prompt_name="query", layers=layers))[0]
        for name in system.models
    }
    return index.search_by(system, vectors, query, top, first_pass=first_pass)
