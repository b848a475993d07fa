"""Build a search index: encode passages batch by batch and write them beside their words."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Sized
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from reknit.data.text.language import language_of
from reknit.data.text.words import Analyser
from reknit.errors import ReknitError
from reknit.jobs.memory import frugal_allocation
from reknit.retrieval.description import DESCRIPTION, MODEL, VECTOR, Description, partial_folder
from reknit.retrieval.system import SearchSystem

TABLE = "passages"
EXACT_ROWS = 50_000  # exact search over this many vectors takes about 10 ms on one core
WORDS_PARTITION_MB = 32  # the full-text index is built in parts of this size; results do not depend on it
ROWS_PER_WRITE = 8192  # each write is a file of its own; fewer, larger files open faster

IndexedPassage = tuple[str, str, str]
"""(id, title, text)"""


@dataclass(frozen=True)
class IndexedVectors:
    """The vectors of one model. name: of the vectors. encode: [batch] texts ("title text") -> [batch, dim] float32,
    compared by dot product. place: of the model, relative to the index; remembered, "" where it is of no use."""

    name: str
    encode: Callable[[list[str]], np.ndarray]
    dim: int
    place: str = ""


def build_index(
    folder: Path | str,
    passages: Iterable[IndexedPassage],
    encode: Callable[[list[str]], np.ndarray],
    *,
    dim: int,
    name: str = MODEL,
    others: Sequence[IndexedVectors] = (),
    system: SearchSystem | None = None,
    batch: int = 1024,
    on_progress: Callable[[int, int], None] | None = None,
    details: Mapping[str, str] | None = None,
    exact_rows: int = EXACT_ROWS,
    language: str | None = None,
) -> None:
    """Index (id, title, text) passages for dense, full-text and hybrid search.

    encode, dim, name: as of `IndexedVectors`. others: vectors of more models, searched exactly only. system: how the
    index is to be searched, its sides by the names of the vectors; remembered. on_progress: called after each batch
    with passages done and in total (0 when `passages` has no length). details: remembered as
    `Index.details`, for example the model's path. exact_rows: with more passages than this, an approximate vector index
    (IVF over the unquantised vectors) is built too. language: whose stemmer the words go through, as `language_of`
    names it; None: that of the first batch. Passages are streamed, a few thousand are held at once.

    The LanceDB table has id, title, content (title and text together), text_start (where in it the text begins),
    words (what `Analyser` makes of the content, so that full-text search finds what `BM25` finds), vector, and
    vector_2 and so on for `others`. The index is built in `folder`.partial and renamed when it is whole; an index
    that is already in `folder` stays usable until then and is replaced. Raises ReknitError when there are no
    passages, when `folder` holds something else than an index, or when `encode` returns the wrong shape or values
    that are not finite.
    """
    folder = Path(folder)
    if folder.exists() and not _replaceable(folder):
        raise ReknitError(f"{folder} exists and is not an index: choose another folder, nothing was overwritten")
    partial = partial_folder(folder)
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir(parents=True)
    except OSError as error:
        raise ReknitError(f"cannot create {partial} ({error.strerror}): choose a folder you may write to") from error
    try:
        vectors = [IndexedVectors(name, encode, dim), *others]
        description = _write(partial, passages, vectors, batch, on_progress, exact_rows, language)
        places = {of.name: of.place for of in others if of.place}
        replace(description, details=dict(details or {}), system=system, places=places).write(partial)
        _replace(folder, partial)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


def _replaceable(folder: Path) -> bool:
    return folder.is_dir() and ((folder / DESCRIPTION).is_file() or not any(folder.iterdir()))


def _replace(folder: Path, partial: Path) -> None:
    old = folder.with_name(folder.name + ".old")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        os.rename(folder, old)
    os.rename(partial, folder)
    shutil.rmtree(old, ignore_errors=True)


def _write(
    partial: Path,
    passages: Iterable[IndexedPassage],
    vectors: Sequence[IndexedVectors],
    batch: int,
    on_progress: Callable[[int, int], None] | None,
    exact_rows: int,
    language: str | None,
) -> Description:
    # Read when the first index is made. Of LanceDB's 256 MB, two or three times as much is in memory.
    os.environ.setdefault("LANCE_FTS_PARTITION_SIZE", str(WORDS_PARTITION_MB))
    import lancedb
    import pyarrow as pa

    columns = {of.name: VECTOR if not number else f"{VECTOR}_{number + 1}" for number, of in enumerate(vectors)}
    schema = pa.schema(
        [
            ("id", pa.string()),
            ("title", pa.string()),
            ("content", pa.string()),
            ("text_start", pa.int32()),
            ("words", pa.string()),
            *((columns[of.name], pa.list_(pa.float32(), of.dim)) for of in vectors),
        ]
    )
    table = lancedb.connect(partial.resolve()).create_table(TABLE, schema=schema)
    total = len(passages) if isinstance(passages, Sized) else 0
    rows = 0
    waiting: list[Any] = []
    analyser = None if language is None else Analyser(language)
    # Added from this thread and not pulled by LanceDB from its own: an error or Ctrl-C in `passages` or `encode` then
    # arrives as itself, not wrapped in an Arrow error.
    for some in _batches(passages, batch):
        analyser = analyser or Analyser(language_of([f"{title} {text}" for _, title, text in some]))
        waiting.append(_record_batch(some, vectors, analyser, schema, rows))
        rows += len(some)
        if sum(records.num_rows for records in waiting) >= ROWS_PER_WRITE:
            table.add(pa.Table.from_batches(waiting))
            waiting.clear()
        if on_progress is not None:
            on_progress(rows, total)
    if analyser is None:
        raise ReknitError("there are no passages to index: give at least one")
    if waiting:
        table.add(pa.Table.from_batches(waiting))
    partitions = round(rows**0.5) if rows > exact_rows else 0
    _create_indices(table, partitions)
    return Description(rows, vectors[0].dim, partitions, analyser.language, columns=columns)


def _create_indices(table: Any, partitions: int) -> None:
    """Of the words, and of the vectors in so many partitions; 0 for an exact search of all."""
    from lancedb.index import FTS, IvfFlat

    # The words are stems already, and of the right language: LanceDB is to cut them at spaces and leave them alone.
    words = FTS(
        base_tokenizer="whitespace",
        lower_case=False,
        stem=False,
        remove_stop_words=False,
        ascii_folding=False,
        max_token_length=None,
    )
    with frugal_allocation():
        table.create_index("words", config=words)
        if partitions:
            table.create_index("vector", config=IvfFlat(distance_type="dot", num_partitions=partitions))


def _batches(passages: Iterable[IndexedPassage], size: int) -> Iterator[list[IndexedPassage]]:
    iterator = iter(passages)
    while some := list(islice(iterator, size)):
        yield some


def _record_batch(
    passages: list[IndexedPassage], vectors: Sequence[IndexedVectors], analyser: Analyser, schema: Any, first: int
) -> Any:
    import pyarrow as pa

    titles = [storable(title).strip() for _, title, _ in passages]
    texts = [storable(text) for _, _, text in passages]
    contents = [f"{title} {text}" if title else text for title, text in zip(titles, texts, strict=True)]
    starts = [len(title) + 1 if title else 0 for title in titles]
    try:
        ids = pa.array([identifier for identifier, _, _ in passages], pa.string())
    except UnicodeEncodeError as error:
        raise ReknitError(f"an id among passages {first} to {first + len(passages)} is not valid Unicode") from error
    encoded = [
        pa.FixedSizeListArray.from_arrays(pa.array(_encoded(of, contents, first).reshape(-1)), of.dim) for of in vectors
    ]
    words = pa.array([" ".join(analyser.words(content)) for content in contents], pa.string())
    columns = [ids, pa.array(titles), pa.array(contents), pa.array(starts, pa.int32()), words]
    return pa.record_batch([*columns, *encoded], schema=schema)


def _encoded(of: IndexedVectors, contents: list[str], first: int) -> np.ndarray:
    vectors = np.ascontiguousarray(of.encode(contents), dtype=np.float32)
    if vectors.shape != (len(contents), of.dim):
        raise ReknitError(
            f"the model gives vectors of shape {list(vectors.shape)} for {len(contents)} passages, expected "
            f"[{len(contents)}, {of.dim}]: check dim and the model"
        )
    broken = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
    if broken.size:
        raise ReknitError(
            f"the model gives NaN or infinity for passage {first + int(broken[0])}: the model is broken, do not use it"
        )
    return vectors


def storable(text: str) -> str:
    """The text with lone surrogates, which UTF-8 cannot hold, replaced by question marks."""
    return text.encode("utf-8", "replace").decode("utf-8")
