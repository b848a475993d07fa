"""Every setting of a job, with its default, its type and its help: the text under its field in the source."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import json
import shutil
import textwrap
import types
import typing
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal

from reknit.ranges import Range
from reknit.recipe import Recipe
from reknit.runs.config import to_json

# What a recipe is, not how it trains.
_OF_THE_CATALOGUE = ("card", "check", "after")
_WIDEST = 100


@dataclass(frozen=True)
class Setting:
    """One field that `--set PATH=VALUE` reaches."""

    path: str
    default: Any
    """None where `required` is true."""
    kind: str
    """Its type and range in words, such as "int, above 0"."""
    help: str
    required: bool = False
    """Whether it has no default: the command is always given it."""


@dataclass(frozen=True)
class SettingGroup:
    """The fields of one dataclass."""

    path: str
    """What the dataclass is reached by; "" for the job itself."""
    help: str
    settings: tuple[Setting, ...]


def groups_of(config: Any) -> list[SettingGroup]:
    """All settings of a config, a frozen dataclass, in the order of its fields; its own come first.

    A field that holds a dataclass is a group of that dataclass's fields, such as the objective of the run's recipe; one
    that could and holds None has no settings.
    """
    return [group for group in _groups(config, path="", about=_first_line(type(config))) if group.settings]


def _groups(config: Any, path: str, about: str) -> Iterator[SettingGroup]:
    spec: type = type(config)
    hints, texts = typing.get_type_hints(spec, include_extras=True), field_texts(spec)
    own: list[Setting] = []
    below: list[SettingGroup] = []
    for item in dataclasses.fields(config):
        if isinstance(config, Recipe) and item.name in _OF_THE_CATALOGUE:
            continue
        value, hint, text = getattr(config, item.name), hints[item.name], texts.get(item.name, "")
        where = f"{path}.{item.name}".lstrip(".")
        if dataclasses.is_dataclass(value):
            # Where the field may hold one of several kinds, it does not say which one it holds.
            kind = "" if type(value) is hint else _first_line(type(value))
            below += _groups(value, where, f"{text} {kind}".strip())
        elif not _may_hold_settings(hint):
            required = not path and item.default is item.default_factory is dataclasses.MISSING
            own.append(Setting(where, None if required else value, kind_of(hint), text, required))
    yield SettingGroup(path, about, tuple(own))
    yield from below


def _may_hold_settings(hint: Any) -> bool:
    return any(isinstance(part, type) and dataclasses.is_dataclass(part) for part in (hint, *typing.get_args(hint)))


@cache
def field_texts(spec: type) -> dict[str, str]:
    """{field: the text under it in the source, as one line} of a dataclass and its bases.

    A field without a text has that of the nearest base that gives it one.
    """
    found: dict[str, str] = {}
    for base in reversed([one for one in spec.__mro__ if dataclasses.is_dataclass(one)]):
        body = _class_body(base)
        for statement, after in pairwise(body):
            text = after.value.value if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant) else None
            if isinstance(statement, ast.AnnAssign) and isinstance(text, str):
                found[ast.unparse(statement.target)] = " ".join(text.split())
    return found


def _class_body(spec: type) -> list[ast.stmt]:
    tree = _parsed(inspect.getfile(spec))
    for name in spec.__qualname__.split("."):
        if name != "<locals>":
            tree = next(one for one in ast.walk(tree) if getattr(one, "name", None) == name)
    return typing.cast(ast.ClassDef, tree).body


@cache
def _parsed(path: str) -> ast.AST:
    return ast.parse(Path(path).read_text(encoding="utf-8"))


def _first_line(spec: type) -> str:
    """The first paragraph of a class's docstring, as one line."""
    return " ".join((inspect.getdoc(spec) or "").partition("\n\n")[0].split())


def kind_of(hint: Any) -> str:
    """A field's type in words, such as "int, above 0, or none".

    hint: as `typing.get_type_hints(..., include_extras=True)` gives it.
    """
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if origin is Annotated:
        ranges = [f", {extra}" for extra in hint.__metadata__ if isinstance(extra, Range)]
        return kind_of(parts[0]) + "".join(ranges)
    if origin in (typing.Union, types.UnionType):
        given = [kind_of(part) for part in parts if part is not type(None)]
        return " or ".join(given) + (", or none" if len(given) < len(parts) else "")
    if origin is Literal:
        return "one of " + ", ".join(map(str, parts))
    if origin is tuple:
        return f"list of {kind_of(parts[0])}"
    return {bool: "true or false", str: "text"}.get(hint, getattr(hint, "__name__", str(hint)))


def written(value: Any) -> str:
    """A value as `--set PATH=VALUE` reads it."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return ",".join(map(written, value))
    if isinstance(value, str) and value != value.strip():
        return f'"{value}"'
    return str(value)


def as_json(groups: Sequence[SettingGroup]) -> str:
    """A list of all settings, each {"path", "group", "default", "required", "type", "help"}."""
    rows = [
        {
            "path": one.path,
            "group": group.path,
            "default": to_json(one.default),
            "required": one.required,
            "type": one.kind,
            "help": one.help,
        }
        for group in groups
        for one in group.settings
    ]
    return json.dumps(rows, indent=2, ensure_ascii=False)


def as_text(groups: Sequence[SettingGroup]) -> str:
    """The settings for a terminal: group by group, each setting with its help below it."""
    width = min(_WIDEST, shutil.get_terminal_size().columns)
    lines: list[str] = []
    for group in groups:
        lines += ["", *_wrapped(f"{group.path}: {group.help}" if group.path else group.help, width)]
        for one in group.settings:
            default = "required" if one.required else f"= {written(one.default)}".rstrip()
            lines += [f"  {one.path} {default}  ({one.kind})", *_wrapped(one.help, width, " " * 6)]
    return "\n".join(lines[1:])


def _wrapped(text: str, width: int, indent: str = "") -> list[str]:
    return textwrap.wrap(text, width, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False)
