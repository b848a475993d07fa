"""Make docs/api.md: the public functions and classes of reknit, from their docstrings.

python benchmarks/api_page.py
"""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import reknit
from reknit.models.embedder import Embedder
from reknit.models.embedding_model import EmbeddingModel
from reknit.models.picture_model import PictureModel
from reknit.models.sentence_transformer_model import SentenceTransformerModel

PAGE = Path(__file__).parents[1] / "docs" / "api.md"
CLASSES = (Embedder, EmbeddingModel, SentenceTransformerModel, PictureModel)


class Plain(str):
    """An annotation that is shown without quotes."""

    __repr__ = str.__str__


def page() -> str:
    """The page as Markdown."""
    functions = [name for name in reknit.__all__ if inspect.isfunction(getattr(reknit, name))]
    parts = [
        "# The Python interface",
        "Made by `benchmarks/api_page.py` from the docstrings. These functions do what the commands of the same names "
        'do; settings are strings such as `"tune.data.pairs_per_batch=32"`, as after `--set`.',
        *(part for name in functions for part in described(f"reknit.{name}", getattr(reknit, name), "##")),
        *(part for kind in CLASSES for part in described_class(kind)),
        "## reknit.ReknitError",
        inspect.getdoc(reknit.ReknitError) or "",
    ]
    return "\n\n".join(parts) + "\n"


def described(name: str, function: Any, heading: str) -> list[str]:
    """A function's heading, signature and docstring."""
    signature = inspect.signature(function)
    parameters = [
        one if one.annotation is one.empty else one.replace(annotation=Plain(one.annotation))
        for one in signature.parameters.values()
    ]
    shown = signature.replace(parameters=parameters, return_annotation=Plain(signature.return_annotation))
    code = f"```python\n{name.rpartition('.')[2]}{shown}\n```"
    return [f"{heading} {name}", code, inspect.getdoc(function) or ""]


def described_class(kind: type) -> list[str]:
    """A class's docstring and its own public methods and properties."""
    parts = [f"## {kind.__module__}.{kind.__name__}", inspect.getdoc(kind) or ""]
    for name, member in vars(kind).items():
        if name.startswith("_"):
            continue
        if isinstance(member, property):
            parts += [f"### {kind.__name__}.{name}", inspect.getdoc(member) or ""]
        elif inspect.isfunction(member):
            parts += described(f"{kind.__name__}.{name}", member, "###")
    return parts


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
