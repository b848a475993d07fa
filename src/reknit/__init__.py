"""reknit: unlabelled text in; a measured, exported, searchable encoder out.

    import reknit

    model = reknit.load("path-or-hub-id")
    vectors = model.encode(["some text"])          # float32 [1, dim]
    result = reknit.adapt("my-texts/", "run/", start="path-or-hub-id", budget="10m")
    evaluation = reknit.evaluate("run/", data=["a-beir-folder/"])

The functions are imported at first use, so that `import reknit` is quick.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from reknit.version import __version__

__all__ = ["ReknitError", "__version__", "adapt", "evaluate", "load", "pretrain"]

_WHERE = {
    "ReknitError": "reknit.errors",
    "adapt": "reknit.adaptation.job",
    "evaluate": "reknit.api",
    "load": "reknit.api",
    "pretrain": "reknit.adaptation.job",
}

if TYPE_CHECKING:
    from reknit.adaptation.job import adapt, pretrain
    from reknit.api import evaluate, load
    from reknit.errors import ReknitError


def __getattr__(name: str) -> Any:
    if name in _WHERE:
        return getattr(importlib.import_module(_WHERE[name]), name)
    raise AttributeError(f"module 'reknit' has no attribute {name!r}")
