"""Search the index of a run with the model beside it."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from reknit.errors import ReknitError
from reknit.retrieval.description import DESCRIPTION, Description
from reknit.retrieval.first_pass import Size
from reknit.retrieval.fusion import EQUAL_PARTS
from reknit.retrieval.index import Index, Mode
from reknit.retrieval.search import search
from reknit.runs.result import RunResult


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
    "text" loads no model, nor torch. Raises ReknitError when `run` holds no index, or for more layers than the model
    has.
    """
    if not (run / "index").is_dir():
        raise _without_index(run)
    index = Index.open(run / "index")
    model, weight = None, EQUAL_PARTS
    if mode != "text":
        from reknit.models.loading import load_model

        model = load_model(run / "model")
    if mode == "hybrid":
        weight = hybrid_weight_of(run)
    hits = search(index, model, query, top=top, mode=mode, hybrid_weight=weight, layers=layers, first_pass=first_pass)
    return [asdict(hit) for hit in hits]


def hybrid_weight_of(run: Path) -> float:
    """What the vectors weigh in hybrid searches of a run, wherever it is asked for: as its result says, else (a copy of
    model/ and index/ alone) as its index remembers; equal parts where nothing has chosen one, as for a model's folder.

    Raises ReknitError when what there is is damaged.
    """
    result = RunResult.read(run / "result.json")
    weight = None if result is None else result.hybrid_weight
    if weight is None and (run / "index" / DESCRIPTION).is_file():
        weight = Description.read(run / "index").hybrid_weight
    return EQUAL_PARTS if weight is None else weight


def _without_index(run: Path) -> ReknitError:
    if not run.exists():
        return ReknitError(f"there is no {run}: give the run folder of a finished `reknit adapt`")
    if RunResult.read(run / "result.json") is not None and (run / "config.json").is_file():
        how = "repeat its command with --resume --index (or --resume --set index=true) to make one"
        return ReknitError(f"{run} was made without an index: {how}")
    return ReknitError(f"{run} has no index/: give the run folder of a finished `reknit adapt`")
