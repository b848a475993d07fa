"""`reknit frontier`: what each size of a model is worth, and what it costs."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean, median
from typing import Any

import numpy as np
from rich.table import Table

from reknit.api import load_embedder
from reknit.data.retrieval_set import RetrievalSet
from reknit.errors import ReknitError
from reknit.evaluation.beir import load_beir
from reknit.evaluation.metrics import values_of
from reknit.models.embedding_model import EmbeddingModel
from reknit.objectives.elastic import layer_steps
from reknit.retrieval.dense import dense_rankings
from reknit.retrieval.first_pass import CANDIDATES_PER_HIT, LEAST_CANDIDATES, FirstPass, Size, small
from reknit.retrieval.ranking import Rankings

METRIC = "nDCG@10"
TIMED_QUERIES = 50
_LEAST_DIMS = 32
_TOP = 10


def frontier(
    model: str | Path, data: str | Path, layers: Sequence[int] = (), dims: Sequence[int] = ()
) -> dict[str, Any]:
    """Measure a model on a BEIR folder at every number of layers with every number of dimensions.

    layers, dims: by default up to six of even steps, and halves down to 32. Returns plain data; for each size its
    quality alone, its quality as a first pass that all dimensions of the same layers decide after (None at all
    dimensions), the bytes of a passage that it searches, the milliseconds of a query (median of up to 50, one by one)
    and passages encoded per second. Signs of all dimensions are a size too, as a first pass. Raises ReknitError for
    sizes that the model does not have.
    """
    found = load_embedder(model)
    if not isinstance(found, EmbeddingModel):
        raise ReknitError(f"{model} has modules that cannot be cut: give a model of Transformer, Pooling and Normalize")
    depth, width = found.encoder.depth, found.dim
    layers, dims = sorted(layers or layer_steps(depth)), sorted(dims or _halves(width))
    if not all(1 <= one <= depth for one in layers) or not all(1 <= one <= width for one in dims):
        raise ReknitError(f"{model} has {depth} layers and {width} dimensions: ask for no more, and at least 1 of each")
    collection = load_beir(data)
    rows = []
    for number in layers:
        documents, queries, speed = _encoded(found, collection, number)
        sizes: list[Size] = [*dims, "binary"]
        for size in sizes:
            rows.append({"layers": number, "dims": size, **_measured(collection, documents, queries, size), **speed})
    return {"model": str(model), "dataset": collection.name, "metric": METRIC, "sizes": rows}


def frontier_table(record: dict[str, Any]) -> Table:
    """One line a size."""
    table = Table(title=f"{record['dataset']}: {METRIC} by layers and dimensions")
    headings, rows = frontier_rows(record)
    for heading in headings:
        table.add_column(heading, justify="right")
    for row in rows:
        table.add_row(*row)
    return table


def frontier_rows(record: dict[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Headings, and a row for each size; a dash where a size is not measured so."""
    headings = ["layers", "dims", record["metric"], "as a first pass", "bytes a passage", "ms a query", "passages/s"]
    rows = []
    for row in record["sizes"]:
        quality = ["–" if value is None else f"{value:.3f}" for value in (row["alone"], row["first_pass"])]
        cost = [f"{row['bytes']:,}", f"{row['query_ms']:.1f}", f"{row['passages_per_second']:,.0f}"]
        rows.append([str(row["layers"]), str(row["dims"]), *quality, *cost])
    return headings, rows


def _encoded(
    model: EmbeddingModel, collection: RetrievalSet, layers: int
) -> tuple[np.ndarray, np.ndarray, dict[str, float]]:
    texts, asked = list(collection.documents.values()), list(collection.queries.values())
    began = time.perf_counter()
    documents = model.comparable(model.encode(texts, prompt_name="document", layers=layers))
    seconds = time.perf_counter() - began
    waits = []
    for query in asked[:TIMED_QUERIES]:
        began = time.perf_counter()
        model.encode([query], prompt_name="query", layers=layers)
        waits.append(time.perf_counter() - began)
    queries = model.comparable(model.encode(asked, prompt_name="query", layers=layers))
    speed = {"query_ms": 1000 * median(waits), "passages_per_second": len(texts) / max(seconds, 1e-9)}
    return documents, queries, speed


def _measured(collection: RetrievalSet, documents: np.ndarray, queries: np.ndarray, size: Size) -> dict[str, Any]:
    width = documents.shape[1]
    first = FirstPass(small(documents, size))
    alone = None
    if size != "binary":
        cut = dense_rankings(list(collection.documents), first.rows, list(collection.queries), small(queries, size))
        alone = _quality(collection, cut)
    decided = None if size == width else _quality(collection, _rescored(collection, documents, queries, first))
    return {"alone": alone, "first_pass": decided, "bytes": first.rows.itemsize * first.rows.shape[1]}


def _rescored(collection: RetrievalSet, documents: np.ndarray, queries: np.ndarray, first: FirstPass) -> Rankings:
    ids = list(collection.documents)
    run = {}
    for name, query in zip(collection.queries, queries, strict=True):
        places = first.nearest(query, max(LEAST_CANDIDATES, CANDIDATES_PER_HIT * _TOP))
        run[name] = {ids[place]: float(documents[place] @ query) for place in places}
    return run


def _quality(collection: RetrievalSet, run: Rankings) -> float:
    return fmean(values_of(run, collection, METRIC))


def _halves(width: int) -> list[int]:
    found = [width]
    while found[-1] // 2 >= _LEAST_DIMS:
        found.append(found[-1] // 2)
    return found
