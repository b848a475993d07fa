"""Passages of a corpus in one memory-mapped Arrow file: random access without the corpus in memory.

File format: Arrow IPC file (https://arrow.apache.org/docs/format/Columnar.html#ipc-file-format), one row per passage,
passages of a document next to each other and in order.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from reknit.data.mapped_file import MappedFile
from reknit.data.order import smallest_index
from reknit.data.text.documents import Document
from reknit.data.text.passages import PASSAGE_WORDS, count_words, split_passages
from reknit.errors import ReknitError

ROWS_PER_RECORD_BATCH = 1024
MAX_TITLE_CHARACTERS = 500

_SCHEMA = pa.schema(
    [
        ("document_id", pa.string()),
        ("document", pa.int64()),
        ("part", pa.int32()),
        ("parts", pa.int32()),
        ("title", pa.string()),
        ("text", pa.string()),
        ("words", pa.int64()),
        # Plain strings: an Arrow file has one dictionary of a column for all its batches, which a reader keeps in
        # memory, and a folder of text files has a source for every document.
        ("source", pa.string()),
    ]
)
# Stores from before documents knew their file.
_WITHOUT_SOURCE = _SCHEMA.remove(len(_SCHEMA) - 1)


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of a document, as it is embedded, indexed and trained on.

    part: number of the passage in its document, from 0. parts: number of passages of the document.
    document: number of the document in its store, from 0. source: the document's, see `Document`.
    """

    document_id: str
    part: int
    title: str
    text: str
    parts: int = 1
    document: int = 0
    source: str = ""

    @property
    def id(self) -> str:
        return self.document_id if self.parts == 1 else f"{self.document_id}#{self.part}"

    @property
    def full_text(self) -> str:
        """The title, where there is one, before the text."""
        return f"{self.title} {self.text}".strip()


def cut_document(document: Document, max_words: int, number: int = 0) -> list[Passage]:
    """The passages of a document, of at most `max_words` words each (see `split_passages`); none of an empty one."""
    title, text = document.title, document.text
    # A document that is a title and nothing else is still a passage, and a title as long as a text is text: it is
    # repeated in every passage.
    if not text.strip() or len(title) > MAX_TITLE_CHARACTERS:
        title, text = "", f"{title}\n\n{text}"
    texts = split_passages(text, max_words)
    return [
        Passage(document.id, part, title, one, len(texts), number, document.source) for part, one in enumerate(texts)
    ]


class PassageStore:
    """Read-only sequence of the passages of a corpus, memory-mapped.

    document_numbers: [len] int32, number of the document that each passage belongs to, ascending from 0.
    words: words of all passages together (see `reknit.data.text.passages.count_words`).
    """

    def __init__(self, path: Path, file: MappedFile, batches: list[pa.RecordBatch]):
        self.path = path
        self._file = file
        self._batches = batches
        self._starts = np.cumsum([0] + [batch.num_rows for batch in batches])
        self.document_numbers: np.ndarray = np.empty(len(self), dtype=np.int32)
        self.words = 0
        for start, batch in zip(self._starts.tolist(), batches, strict=False):
            file.touch(2)
            self.document_numbers[start : start + batch.num_rows] = batch.column("document").to_numpy()
            self.words += int(batch.column("words").to_numpy().sum())

    @classmethod
    def build(cls, documents: Iterable[Document], path: Path, *, max_words: int = PASSAGE_WORDS) -> PassageStore:
        """Cut documents into passages and write them to `path`; one record batch at a time is in memory.

        The file is written aside and renamed, so a killed build leaves nothing that looks finished. Raises ReknitError
        when the documents hold no text at all.
        """
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = path.with_name(f"{path.name}.{os.getpid()}.partial")
        rows = 0
        try:
            with pa.OSFile(str(aside), "wb") as sink, pa.ipc.new_file(sink, _SCHEMA) as writer:
                for batch in _record_batches(documents, max_words):
                    writer.write_batch(batch)
                    rows += batch.num_rows
            if rows == 0:
                raise ReknitError(
                    "the corpus has no text: every document is empty or repeats an evaluation query; give a path "
                    "with other documents"
                )
            os.replace(aside, path)
        finally:
            aside.unlink(missing_ok=True)
        return cls.open(path)

    @classmethod
    def open(cls, path: Path) -> PassageStore:
        """Map a store written by `build`. Raises ReknitError when it is missing, damaged or not a passage store."""
        path = Path(path)
        if not path.is_file():
            raise ReknitError(f"no passage store at {path}; build it first")
        try:
            file = MappedFile(path)
            reader = pa.ipc.open_file(pa.BufferReader(pa.py_buffer(file.buffer)))
            batches = [reader.get_batch(number) for number in range(reader.num_record_batches)]
        except (pa.ArrowInvalid, OSError) as error:
            raise ReknitError(
                f"{path} is damaged or not a passage store ({error}); delete it and build again"
            ) from error
        if reader.schema not in (_SCHEMA, _WITHOUT_SOURCE) or not batches:
            raise ReknitError(f"{path} is not a passage store of this version; delete it and build again")
        return cls(path, file, batches)

    def __len__(self) -> int:
        return int(self._starts[-1])

    def __getitem__(self, index: int) -> Passage:
        number = index + len(self) if index < 0 else index
        if not 0 <= number < len(self):
            raise IndexError(f"passage {index} of {len(self)}")
        batch = int(np.searchsorted(self._starts, number, side="right")) - 1
        self._file.touch(len(_SCHEMA))
        return _passage(self._batches[batch], int(number - self._starts[batch]))

    def __iter__(self) -> Iterator[Passage]:
        for batch in self._batches:
            self._file.touch(size=batch.nbytes)
            for row in range(batch.num_rows):
                yield _passage(batch, row)

    def numbers_below(self, below: str) -> np.ndarray:
        """[k] ascending numbers of the passages whose source begins with `below`, of the smallest type for them."""
        import pyarrow.compute as pc

        found = []
        for start, sources in zip(self._starts.tolist(), self._sources(), strict=False):
            rows = np.flatnonzero(pc.starts_with(sources, below).to_numpy(zero_copy_only=False))
            found.append((rows + start).astype(smallest_index(len(self))))
        return np.concatenate(found)

    def numbers_of(self, documents: Iterable[str]) -> dict[str, list[int]]:
        """{document's or passage's id: numbers of its passages}, of those that are known."""
        wanted = set(documents)
        # Of a passage whose id is asked for, the document.
        owners = wanted | {one.rpartition("#")[0] for one in wanted if "#" in one}
        found: dict[str, list[int]] = {}
        for start, batch in zip(self._starts.tolist(), self._batches, strict=False):
            self._file.touch(len(_SCHEMA))
            for row, owner in enumerate(batch.column("document_id").to_pylist()):
                if owner in owners:
                    passage = _passage(batch, row)
                    for name in {passage.document_id, passage.id} & wanted:
                        found.setdefault(name, []).append(start + row)
        return found

    def top_sources(self, count: int) -> list[str]:
        """The first `count` files and folders ("es/") at the top of the corpus, in the order of the passages."""
        found: dict[str, None] = {}
        for sources in self._sources():
            for source in sources.unique().to_pylist():
                top, slash, _ = source.partition("/")
                found[top + slash] = None
            if len(found) >= count:
                break
        return list(found)[:count]

    def _sources(self) -> Iterator[pa.Array]:
        """The sources of each record batch's passages; a store from before there were any has empty ones."""
        for batch in self._batches:
            sources = batch.column("source") if _knows_sources(batch) else pa.array([""] * batch.num_rows, pa.string())
            self._file.touch(2, sources.nbytes)
            yield sources

    @property
    def num_documents(self) -> int:
        return int(self.document_numbers[-1]) + 1


def _passage(batch: pa.RecordBatch, row: int) -> Passage:
    document_id, document, part, parts, title, text = (batch.column(column)[row].as_py() for column in range(6))
    source = batch.column("source")[row].as_py() if _knows_sources(batch) else ""
    return Passage(document_id, part, title, text, parts, document, source)


def _knows_sources(batch: pa.RecordBatch) -> bool:
    known: bool = batch.num_columns == len(_SCHEMA)
    return known


def _record_batches(documents: Iterable[Document], max_words: int) -> Iterator[pa.RecordBatch]:
    rows: list[tuple[Any, ...]] = []
    number = 0
    for document in documents:
        passages = cut_document(document, max_words, number)
        for one in passages:
            words = count_words(one.text)
            rows.append((one.document_id, number, one.part, one.parts, one.title, one.text, words, one.source))
            if len(rows) == ROWS_PER_RECORD_BATCH:
                yield _record_batch(rows)
                rows = []
        number += bool(passages)
    if rows:
        yield _record_batch(rows)


def _record_batch(rows: list[tuple[Any, ...]]) -> pa.RecordBatch:
    columns = [
        pa.array(column, type=field.type) for column, field in zip(zip(*rows, strict=True), _SCHEMA, strict=True)
    ]
    return pa.record_batch(columns, schema=_SCHEMA)
