"""What the checks must know of one objective and of no other: its losses by loops, and how to make it a toy.

The twin of the objective in `objectives/NAME.py` is the `TWIN` of `twins/NAME.py`. A reconstructing objective whose
losses are those of what it shows, as `ReconstructionTwin` computes them, needs none.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec

from reknit.objectives.base import Objective, ObjectiveSpec
from reknit.objectives.predictions import ReconstructionObjective
from twins.base import ReconstructionTwin, Twin, VectorTwin

__all__ = ["ReconstructionTwin", "Twin", "VectorTwin", "twin_of"]


def twin_of(one: Objective | ObjectiveSpec) -> Twin:
    """The twin of an objective or of its settings, which are in the same file."""
    name = type(one).__module__.rpartition(".")[2]
    if find_spec(f"twins.{name}") is not None:
        return import_module(f"twins.{name}").TWIN
    shows_all = isinstance(one, ReconstructionObjective | ObjectiveSpec)
    assert shows_all, f"{type(one).__name__} has no naive twin: write tests/support/twins/{name}.py"
    return ReconstructionTwin()
