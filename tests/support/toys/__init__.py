"""Toy encoders and batches of what is no text: those of `reknit/sources/NAME.py` are in `toys/NAME.py`.

Such a file has VOCABULARY, and the functions `encoder`, `batch`, `several`, `noise` and `neighbours`.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from types import ModuleType

from reknit.recipe import Recipe


def toys_of(recipe: Recipe) -> ModuleType | None:
    """The toys for what the recipe's batches are made of; None for texts."""
    name = type(recipe.data).__module__.rpartition(".")[2]
    return None if find_spec(f"toys.{name}") is None else import_module(f"toys.{name}")
