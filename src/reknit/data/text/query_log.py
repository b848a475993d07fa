"""What users searched for and clicked: query logs and pairs of a query and a document."""

from __future__ import annotations

import heapq
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reknit.data.text.curation import normalise
from reknit.data.text.files import clean
from reknit.data.text.records import open_bytes
from reknit.errors import ReknitError

QUERY_COLUMNS = ("query", "text")
DOCUMENT_COLUMNS = ("document", "corpus-id", "doc", "id")
MOST_QUERIES = 100_000
"""Different queries of a log that are kept, those that were asked most."""


@dataclass(frozen=True, slots=True)
class LoggedQuery:
    """text: as it was first written. count: how often it was asked, in any spelling of case and spaces."""

    text: str
    count: int


@dataclass(frozen=True, slots=True)
class Pair:
    """A query, the id of a document that answers it, and how much is known of that: clicks, or a grade; above 0."""

    query: str
    document: str
    weight: float


def read_query_log(path: Path) -> list[LoggedQuery]:
    """The different queries of a log, those that were asked most first, MOST_QUERIES at most.

    .jsonl: objects with "query" (or "text") and perhaps "count". .tsv: a query, perhaps a tab and a count, with or
    without a header. Any other name: a query a line. Compressed files end in .gz or .zst. Queries without a word are
    left out. Raises ReknitError, naming file and line, for what is none of this and for a log without a query.
    """
    counts: dict[str, int] = {}
    texts: dict[str, str] = {}
    for number, cells in _rows(path, ("query", "count")):
        text = " ".join(clean(str(cells[0])).split())
        key = normalise(text)
        if not key:
            continue
        counts[key] = counts.get(key, 0) + _count(path, number, cells[1])
        texts.setdefault(key, text)
    if not counts:
        raise ReknitError(f"{path} holds no query: give a query a line")
    most = heapq.nsmallest(MOST_QUERIES, counts, key=lambda key: -counts[key])
    return [LoggedQuery(texts[key], counts[key]) for key in most]


def read_pairs(path: Path) -> list[Pair]:
    """Pairs in the order of the file; those of one query and document are added up.

    .jsonl: objects with "query", "document" and perhaps "weight". Any other name: tabs between a query, a document's
    id and perhaps a weight, with or without a header. Pairs of weight 0 are left out. Raises ReknitError, naming file
    and line, for what is none of this and for a file without a pair.
    """
    weights: dict[tuple[str, str], float] = {}
    texts: dict[str, str] = {}
    for number, cells in _rows(path, ("query", "document", "weight"), tabs=True):
        text, document = (
            " ".join(clean(str(cells[0])).split()),
            clean(str(cells[1] if cells[1] is not None else "")).strip(),
        )
        if not normalise(text) or not document:
            raise ReknitError(f"{path}:{number}: a pair needs a query and the id of a document")
        weight = _weight(path, number, cells[2])
        if weight > 0:
            first = texts.setdefault(normalise(text), text)
            weights[first, document] = weights.get((first, document), 0.0) + weight
    if not weights:
        raise ReknitError(f"{path} holds no pair: give a query, a document's id and perhaps a weight a line")
    return [Pair(query, document, weight) for (query, document), weight in weights.items()]


def _rows(path: Path, columns: tuple[str, ...], *, tabs: bool = False) -> Iterator[tuple[int, list[Any]]]:
    """(line, a value a column; None where there is none) of every line that is not empty."""
    if not path.is_file():
        raise ReknitError(f"there is no file {path}")
    kinds = {suffix.lower() for suffix in path.suffixes}
    if other := kinds & {".csv", ".parquet", ".xlsx"}:
        raise ReknitError(f"{path} is a {other.pop()} file: give lines of text, .tsv or .jsonl")
    first = True
    for number, line in _lines(path):
        if ".jsonl" in kinds or ".json" in kinds:
            yield number, _of_object(path, number, line, columns)
            continue
        cells: list[Any] = line.rstrip("\r\n").split("\t") if tabs or ".tsv" in kinds else [line]
        if first and cells[0].strip().lower() == "query-id":
            raise ReknitError(f"{path} names queries by their ids: give their texts")
        header = first and len(cells) > 1 and cells[0].strip().lower() in QUERY_COLUMNS
        first = False
        if not header:
            yield number, [*cells, *[None] * len(columns)][: len(columns)]


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    try:
        with open_bytes(path) as stream:
            for number, line in enumerate(stream, 1):
                text = line.decode("utf-8-sig" if number == 1 else "utf-8")
                if text.strip():
                    yield number, text
    except UnicodeDecodeError as error:
        raise ReknitError(f"{path} is not UTF-8 text ({error.reason})") from error
    except (OSError, EOFError) as error:
        raise ReknitError(f"{path} cannot be read: {error}") from error


def _of_object(path: Path, number: int, line: str, columns: tuple[str, ...]) -> list[Any]:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ReknitError(f"{path}:{number}: broken JSON ({error})") from error
    if not isinstance(value, dict):
        raise ReknitError(f'{path}:{number}: a {type(value).__name__}, not an object with "query"')
    called = {"query": QUERY_COLUMNS, "document": DOCUMENT_COLUMNS}
    found = [next((value[name] for name in called.get(one, (one,)) if name in value), None) for one in columns]
    if not isinstance(found[0], str):
        raise ReknitError(f'{path}:{number}: there is no text called "query"')
    return found


def _count(path: Path, number: int, cell: Any) -> int:
    value = 1.0 if cell is None or cell == "" else _number(path, number, cell, "count")
    if value < 0 or value != int(value):
        raise ReknitError(f"{path}:{number}: the count is {cell}: it must be a whole number, 0 or more")
    return int(value)


def _weight(path: Path, number: int, cell: Any) -> float:
    value = 1.0 if cell is None or cell == "" else _number(path, number, cell, "weight")
    if value < 0:
        raise ReknitError(f"{path}:{number}: the weight is {cell}: it must be 0 or more")
    return value


def _number(path: Path, number: int, cell: Any, what: str) -> float:
    try:
        value = float(cell)
    except (TypeError, ValueError) as error:
        raise ReknitError(f"{path}:{number}: the {what} is {cell!r}, which is no number") from error
    if isinstance(cell, bool) or not math.isfinite(value):
        raise ReknitError(f"{path}:{number}: the {what} is {cell!r}, which is no number")
    return value
