"""Search the index of a run with the model beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reknit.errors import ReknitError
from reknit.retrieval.description import DESCRIPTION, MODEL, Description
from reknit.retrieval.first_pass import Size
from reknit.retrieval.fusion import EQUAL_PARTS
from reknit.retrieval.index import Index, Mode
from reknit.retrieval.search import search, search_by
from reknit.retrieval.system import SearchSystem
from reknit.runs.result import RunResult

if TYPE_CHECKING:
    from reknit.models.embedder import Embedder


def search_run(
    run: Path,
    query: str,
    *,
    top: int = 10,
    mode: Mode | None = None,
    layers: int | None = None,
    first_pass: Size | None = None,
) -> list[dict[str, Any]]:
    """The best passages for a query: dicts of id, title, text and score, best first.

    mode: "dense" searches with the model in model/ alone; "hybrid" with words and vectors, as the run's verdict says
    where that is a hybrid; None for the system that the verdict named. layers: encode the query with the model's first
    `layers` layers only. first_pass: as `Index.search` has it. A search by words alone loads no model, nor torch.
    Raises ReknitError when `run` holds no index, or for more layers than the model has.
    """
    if not (run / "index").is_dir():
        raise _without_index(run)
    index = Index.open(run / "index")
    if mode in ("text", "dense"):
        model = None if mode == "text" else models_of(run, index.names[:1])[index.names[0]]
        hits = search(index, model, query, top=top, mode=mode, layers=layers, first_pass=first_pass)
        return [asdict(hit) for hit in hits]
    system = system_of(run)
    if mode is None and not system.models and (layers is not None or first_pass is not None):
        raise ReknitError(f"{run} is searched by words alone, as its verdict says: give --mode dense or hybrid too")
    if mode == "hybrid" and not system.is_hybrid:
        system = SearchSystem.of(index.names[:1], EQUAL_PARTS)
    models = models_of(run, system.models)
    hits = search_by(index, models, query, top=top, system=system, layers=layers, first_pass=first_pass)
    return [asdict(hit) for hit in hits]


def system_of(run: Path) -> SearchSystem:
    """How a run is searched, wherever it is asked for: as its result says, else (a copy of model/ and index/ alone) as
    its index remembers; words and the model in equal parts where nothing has chosen that, as for a model's folder.

    Raises ReknitError when what there is is damaged.
    """
    result = RunResult.read(run / "result.json")
    if result is not None and result.search is not None:
        return result.search
    if (run / "index" / DESCRIPTION).is_file():
        return Description.read(run / "index").searched_by
    return SearchSystem.of([MODEL], EQUAL_PARTS)


def models_of(run: Path, names: Sequence[str]) -> dict[str, Embedder]:
    """{name of the vectors: the model that makes them}, found as the run's result says, else (a copy without it) as its
    index does. Vectors that neither says anything of are those of model/.

    Raises ReknitError when a model cannot be loaded.
    """
    if not names:
        return {}
    from reknit.models.loading import load_model

    result = RunResult.read(run / "result.json")
    places = {} if result is None else {side: run / place for side, place in result.sides.items()}
    if not places and (run / "index" / DESCRIPTION).is_file():
        index = run / "index"
        places = {name: index / place for name, place in Description.read(index).places.items()}
    return {name: load_model(places.get(name, run / "model")) for name in names}


def folder_of(run: Path, name: str) -> Path:
    """The folder of one of a run's models, by its name: "adapted", "start", or that of another start model.

    Raises ReknitError for a folder that is no run, and for a model that it does not have; those that it has are listed.
    """
    result = RunResult.read(run / "result.json")
    if result is None:
        raise ReknitError(f"{run} is not the folder of a finished run, so it has no model {name!r}: leave --system out")
    found = {place.name: place for place in sorted(run.glob("models/*")) if place.is_dir()}
    found |= {result.model_holds: run / "model"} if result.model_holds else {}
    if name not in found:
        raise ReknitError(f"{run} has no model {name!r}: it has {', '.join(sorted(found)) or 'none'}")
    return found[name]


def _without_index(run: Path) -> ReknitError:
    if not run.exists():
        return ReknitError(f"there is no {run}: give the run folder of a finished `reknit adapt`")
    if RunResult.read(run / "result.json") is not None and (run / "config.json").is_file():
        how = "repeat its command with --resume --index (or --resume --set index=true) to make one"
        return ReknitError(f"{run} was made without an index: {how}")
    return ReknitError(f"{run} has no index/: give the run folder of a finished `reknit adapt`")
