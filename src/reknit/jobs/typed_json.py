"""Frozen dataclasses as plain JSON values and back, every value checked against its field's type."""

from __future__ import annotations

import dataclasses
import functools
import types
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

_KINDS: dict[type, tuple[tuple[type, ...], str]] = {
    bool: ((bool,), "true or false"),
    int: ((int,), "a whole number"),
    float: ((int, float), "a number"),
    str: ((str,), "a text"),
    dict: ((dict,), "an object"),
    list: ((list,), "a list"),
}


def to_plain(value: Any) -> Any:
    """The value as JSON holds it: dataclasses as objects (by their `to_json`, if they have one), tuples as lists."""
    if hasattr(value, "to_json"):
        return value.to_json()
    if dataclasses.is_dataclass(value):
        return {item.name: to_plain(getattr(value, item.name)) for item in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {name: to_plain(inner) for name, inner in value.items()}
    return [to_plain(inner) for inner in value] if isinstance(value, list | tuple) else value


def from_plain(kind: Any, value: Any, where: str) -> Any:
    """A value of the type `kind` (a dataclass, or what its fields may be) out of what JSON holds.

    A field that is missing gets its default, and one that is unknown is left out: older and newer files can be read.
    where: the name of the value in errors. Raises ValueError, naming the part, when a field without a default is
    missing or a value does not fit its type.
    """
    origin, inner = get_origin(kind), get_args(kind)
    if kind is Any:
        return value
    if origin in (Union, types.UnionType):
        if value is None and type(None) in inner:
            return None
        (kind,) = (option for option in inner if option is not type(None))
        return from_plain(kind, value, where)
    if dataclasses.is_dataclass(kind):
        return _object(kind, _checked(dict, value, where), where)
    if origin is Literal:
        if value not in inner:
            raise ValueError(f"{where} is {value!r}, which is none of {', '.join(map(str, inner))}")
        return value
    if origin is dict:
        found = _checked(dict, value, where)
        return {name: from_plain(inner[1], one, f"{where}.{name}") for name, one in found.items()}
    if origin is tuple:
        found = _checked(list, value, where)
        kinds = [inner[0]] * len(found) if inner[-1] is Ellipsis else list(inner)
        if len(kinds) != len(found):
            raise ValueError(f"{where} has {len(found)} values, not {len(kinds)}")
        return tuple(from_plain(of, one, f"{where}[{n}]") for n, (of, one) in enumerate(zip(kinds, found, strict=True)))
    return _checked(kind, value, where)


# A result holds hundreds of scores, and each search reads one.
_hints = functools.cache(get_type_hints)


def _object(kind: Any, value: dict[str, Any], where: str) -> Any:
    hints = _hints(kind)
    given: dict[str, Any] = {}
    for item in dataclasses.fields(kind):
        if item.name in value:
            given[item.name] = from_plain(hints[item.name], value[item.name], f"{where}.{item.name}")
        elif item.default is dataclasses.MISSING and item.default_factory is dataclasses.MISSING:
            raise ValueError(f"{where} has no {item.name}")
    return kind(**given)


def _checked(kind: Any, value: Any, where: str) -> Any:
    fitting, called = _KINDS[kind]
    fits = isinstance(value, fitting) and (kind is bool or not isinstance(value, bool))
    if not fits:
        raise ValueError(f"{where} is {value!r:.80}, not {called}")
    return float(value) if kind is float else value
