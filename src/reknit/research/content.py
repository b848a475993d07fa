"""What something was made of, as hashes: files by their content, settings by what they say."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def content_hash(place: Path) -> str:
    """Of a file's bytes, or of the names and bytes of all files in a folder."""
    found = hashlib.sha256()
    for path in files_below(place):
        found.update(str(path.relative_to(place)).encode())
        with path.open("rb") as file:
            while piece := file.read(2**20):
                found.update(piece)
    return found.hexdigest()


def settings_hash(settings: Any) -> str:
    """Of plain values and dataclasses; of these what is not their default, so that a new field changes no hash."""
    return hashlib.sha256(json.dumps(_said(settings), sort_keys=True).encode()).hexdigest()


def files_below(place: Path) -> Iterator[Path]:
    """A file itself, or all files in a folder and those below it, by name."""
    return iter([place] if place.is_file() else sorted(path for path in place.rglob("*") if path.is_file()))


def _said(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        said = {item.name: getattr(value, item.name) for item in dataclasses.fields(value)}
        changed = {name: found for name, found in said.items() if found != _default(value, name)}
        return {"kind": type(value).__name__, **{name: _said(found) for name, found in changed.items()}}
    if isinstance(value, dict):
        return {str(name): _said(found) for name, found in value.items()}
    return [_said(found) for found in value] if isinstance(value, tuple | list) else value


def _default(value: Any, name: str) -> Any:
    item = next(item for item in dataclasses.fields(value) if item.name == name)
    if item.default_factory is not dataclasses.MISSING:
        return item.default_factory()
    return item.default
