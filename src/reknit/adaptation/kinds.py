"""The kinds of runs there are: which one a run is follows from what the data of its recipes is made of."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from reknit.adaptation.text_run import TextRun
from reknit.data.images.store import PictureCorpus
from reknit.data.text.corpus import Corpus
from reknit.errors import ReknitError
from reknit.pictures.run import PictureRun
from reknit.runs.config import RunConfig
from reknit.runs.kind import RunKind
from reknit.runs.phases import phases_of

_KINDS: Mapping[type, type[RunKind]] = {Corpus: TextRun, PictureCorpus: PictureRun}


def kind_of(config: RunConfig) -> type[RunKind]:
    """The kind of a run. Raises ReknitError where its phases train on different kinds of data."""
    found = {_KINDS[phase.recipe.data.corpus]: phase.recipe.card.name for phase in phases_of(config)}
    if len(found) > 1:
        parts = " and ".join(f"{name} trains on {kind.reads}" for kind, name in found.items())
        raise ReknitError(f"{parts}: one run has one corpus; take recipes of one kind, or `reknit pretrain` alone")
    return next(iter(found), TextRun)


def show_result(result: dict[str, Any], out: Path) -> None:
    """Print what a run came to. result: what result.json in the folder `out` holds; empty in a process that is not the
    one that tells."""
    if result:
        kind = next(kind for kind in _KINDS.values() if kind.result_kind == result.get("kind", ""))
        kind.show(result, out)
