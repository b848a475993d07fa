"""Files that hold many documents: JSON lines, CSV, TSV, Parquet and saved `datasets`."""

from __future__ import annotations

import csv
import gzip
import io
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from reknit.data.text.documents import Document, ReadReport
from reknit.data.text.files import clean, encoding_of
from reknit.errors import ReknitError

TEXT_COLUMNS = ("text", "contents", "content", "body")
TITLE_COLUMNS = ("title",)
ID_COLUMNS = ("_id", "id")
PARQUET_ROWS = 256
MAX_CELL_CHARACTERS = 2**31 - 1


@dataclass(frozen=True)
class Source:
    """A file being read: its path, its name in ids and in problems, and where to count what cannot be read."""

    path: Path
    name: str
    report: ReadReport
    max_bad: int

    def problem(self, number: int | None, reason: str) -> None:
        place = self.name if number is None else f"{self.name}:{number}"
        self.report.add_problem(place, reason, max_bad=self.max_bad)

    def document(self, record: Any, number: int) -> Document | None:
        """The document of record (line, row) `number`, or None, counted, if it is none."""
        if not isinstance(record, dict):
            self.problem(number, f"a {type(record).__name__}, not an object with a text")
            return None
        text, title = _first(record, TEXT_COLUMNS), _first(record, TITLE_COLUMNS)
        if text is None and isinstance(title, str) and title.strip() and any(name in record for name in TEXT_COLUMNS):
            text = ""  # an article without its abstract
        if not isinstance(text, str):
            self.problem(number, "no text" if text is None else f"the text is a {type(text).__name__}, not a string")
            return None
        name = _first(record, ID_COLUMNS)
        return Document(
            id=clean(str(name)) if isinstance(name, str | int) and name != "" else f"{self.name}:{number}",
            title=clean(title) if isinstance(title, str) else "",
            text=clean(text),
            source=self.name,
        )


def _first(record: dict[str, Any], columns: tuple[str, ...]) -> Any:
    return next((record[column] for column in columns if record.get(column) is not None), None)


@contextmanager
def open_bytes(path: Path) -> Iterator[IO[bytes]]:
    """A file's bytes, decompressed where its name ends in .gz or .zst."""
    if path.suffix == ".gz":
        with gzip.open(path, "rb") as stream:
            yield stream  # type: ignore[misc]
    elif path.suffix == ".zst":
        import zstandard

        with open(path, "rb") as packed:
            reader = zstandard.ZstdDecompressor().stream_reader(packed, read_across_frames=True)
            with io.BufferedReader(reader, buffer_size=1 << 20) as stream:
                yield stream
    else:
        with open(path, "rb") as stream:
            yield stream


def _lines(stream: IO[bytes]) -> Iterator[tuple[int, str | None]]:
    """(line number, line), None for a line that cannot be decoded. Only the current line is in memory."""
    buffered: Any = stream if hasattr(stream, "peek") else io.BufferedReader(stream)
    encoding = encoding_of(buffered.peek(4)[:4])
    if encoding in ("utf-16", "utf-32"):
        text = io.TextIOWrapper(buffered, encoding=encoding, newline="\n")
        try:
            yield from enumerate(text, 1)
        finally:
            text.detach()  # whoever opened the file closes it
        return
    for number, line in enumerate(buffered, 1):
        try:
            yield number, line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError:
            yield number, None


def read_json(source: Source) -> Iterator[Document]:
    """JSON lines. A file that is one JSON value over many lines (an array, or one object) is read as a whole."""
    with open_bytes(source.path) as stream:
        lines = _lines(stream)
        first = next(((number, line) for number, line in lines if line is None or line.strip()), None)
        if first is None:
            return
        number, line = first
        if line is not None and ".json" in source.path.suffixes and _spans_lines(line):
            yield from _read_whole_json(source, line, lines)
            return
        while first is not None:
            number, line = first
            document = _json_document(source, number, line)
            if document is not None:
                yield document
            first = next(lines, None)


def _json_document(source: Source, number: int, line: str | None) -> Document | None:
    if line is None:
        source.problem(number, "not UTF-8")
        return None
    line = line.replace("\0", "")
    if not line.strip():
        return None
    try:
        return source.document(json.loads(line), number)
    except (ValueError, RecursionError) as error:
        source.problem(number, f"broken JSON ({error})")
        return None


def _spans_lines(first: str) -> bool:
    """Whether a first line begins an array, or an object that goes on in the next line."""
    return first.lstrip().startswith("[") or not first.rstrip().endswith("}")


def _read_whole_json(source: Source, first: str, rest: Iterator[tuple[int, str | None]]) -> Iterator[Document]:
    try:
        value = json.loads(first + "".join(line or "" for _, line in rest))
    except (ValueError, RecursionError) as error:
        source.problem(None, f"broken JSON ({error})")
        return
    for number, record in enumerate(value if isinstance(value, list) else [value], 1):
        document = source.document(record, number)
        if document is not None:
            yield document


def read_csv(source: Source) -> Iterator[Document]:
    """CSV (RFC 4180, quoted cells) and TSV (no quoting, as IANA's text/tab-separated-values) with a header row."""
    # The limit is one of the whole process; the default of 131,072 characters is less than a long document.
    csv.field_size_limit(min(MAX_CELL_CHARACTERS, sys.maxsize))
    undecoded: set[int] = set()

    def decoded(stream: IO[bytes]) -> Iterator[str]:
        for number, line in _lines(stream):
            if line is None:
                undecoded.add(number)
            # An undecodable line still counts as a line, so that the numbers stay right.
            yield "\n" if line is None else line.replace("\0", "")

    tabs = ".tsv" in source.path.suffixes
    with open_bytes(source.path) as stream:
        if tabs:
            rows = csv.reader(decoded(stream), delimiter="\t", quoting=csv.QUOTE_NONE)
        else:
            rows = csv.reader(decoded(stream), strict=True)
        try:
            header = next((row for row in rows if row), None)
        except csv.Error as error:
            source.problem(rows.line_num, f"broken CSV ({error})")
            return
        if undecoded:
            source.problem(min(undecoded), "the header is not UTF-8")
            return
        if header is None:
            return
        columns = [name.strip().lower() for name in header]
        check_columns(columns, source, shown=header)
        while True:
            try:
                row = next(rows, None)
            except csv.Error as error:
                source.problem(rows.line_num, f"broken CSV ({error})")
                continue
            for number in sorted(undecoded):
                source.problem(number, "not UTF-8")
            undecoded.clear()
            if row is None:
                return
            if row:
                document = source.document(dict(zip(columns, row, strict=False)), rows.line_num)
                if document is not None:
                    yield document


def check_columns(columns: list[str], source: Source, shown: list[str] | None = None) -> None:
    """Raise ReknitError, naming the columns found, when there is none for the text."""
    if not set(columns) & set(TEXT_COLUMNS):
        found = ", ".join(" ".join(name[:40].split()) for name in (shown or columns)[:20])
        raise ReknitError(
            f"{source.name} has no text column; its columns are: {found}; name one of them {' or '.join(TEXT_COLUMNS)}"
        )


def read_parquet(source: Source) -> Iterator[Document]:
    """A Parquet file, a few hundred rows at a time."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(source.path) as file:
            names = file.schema_arrow.names
            check_columns(names, source)
            wanted = [name for name in names if name in TEXT_COLUMNS + TITLE_COLUMNS + ID_COLUMNS]
            number = 0
            for batch in file.iter_batches(batch_size=PARQUET_ROWS, columns=wanted):
                for record in batch.to_pylist():
                    number += 1
                    document = source.document(record, number)
                    if document is not None:
                        yield document
    except pa.ArrowException as error:
        source.problem(None, f"damaged Parquet file ({str(error).splitlines()[0]})")


def read_saved_dataset(source: Source) -> Iterator[Document]:
    """A folder written by `datasets.save_to_disk`; of a dictionary of splits, all splits."""
    import datasets

    try:
        loaded: Any = datasets.load_from_disk(str(source.path))
    except Exception as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ReknitError(f"{source.path} looks like a saved dataset but cannot be loaded: {reason}") from error
    splits = list(loaded.values()) if isinstance(loaded, datasets.DatasetDict) else [loaded]
    number = 0
    for split in splits:
        check_columns(split.column_names, source)
        wanted = [name for name in split.column_names if name in TEXT_COLUMNS + TITLE_COLUMNS + ID_COLUMNS]
        for record in split.select_columns(wanted).with_format(None):
            number += 1
            document = source.document(record, number)
            if document is not None:
                yield document
