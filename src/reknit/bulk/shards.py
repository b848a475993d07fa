"""Folders of Parquet shards, as vector stores and data frames load them, and the JSON file that says what they hold.

Shards read in the order of their names (part-00000.parquet ...) have their rows in the order of the corpus.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np

from reknit.data.text.documents import Document
from reknit.data.text.passage_store import Passage
from reknit.errors import ReknitError
from reknit.jobs.files import read_json, write_json, written_aside

StoredVectors = Literal["float32", "float16"]

FORMAT = 1


def write_documents(path: Path, documents: Sequence[Document]) -> None:
    """One shard of documents: id, title, text; `read_documents` reads it."""
    import pyarrow as pa

    columns = {
        name: pa.array([getattr(one, name) for one in documents], pa.string()) for name in ("id", "title", "text")
    }
    _write(path, pa.table(columns))


def write_vectors(path: Path, passages: Sequence[Passage], vectors: np.ndarray, stored: StoredVectors) -> None:
    """One shard of passages: id, document (its id), title, text, vector (a list of fixed size).

    vectors: [passages, dims] float32. Raises ReknitError when one holds NaN or infinity, as float16 too.
    """
    import pyarrow as pa

    with np.errstate(over="ignore"):
        kept = np.ascontiguousarray(vectors, dtype=stored)
    broken = np.flatnonzero(~np.isfinite(kept).all(axis=1))
    if broken.size:
        raise ReknitError(
            f"the vector of passage {passages[int(broken[0])].id} holds NaN or infinity in {stored}: "
            "the model is broken, or its vectors need float32"
        )
    columns = {
        "id": pa.array([passage.id for passage in passages], pa.string()),
        "document": pa.array([passage.document_id for passage in passages], pa.string()),
        "title": pa.array([passage.title for passage in passages], pa.string()),
        "text": pa.array([passage.text for passage in passages], pa.string()),
        "vector": pa.FixedSizeListArray.from_arrays(pa.array(kept.reshape(-1)), kept.shape[1]),
    }
    _write(path, pa.table(columns))


def _write(path: Path, table: Any) -> None:
    import pyarrow.parquet as pq

    with written_aside(path) as aside:
        # Vectors are as good as random: a dictionary of their values would be larger than they are.
        pq.write_table(
            table, aside, compression="zstd", use_dictionary=["document"] * ("document" in table.schema.names)
        )


def shard_name(number: int) -> str:
    return f"part-{number:05}.parquet"


def shards_of(folder: Path) -> list[Path]:
    """The shards of a folder in order."""
    return sorted(folder.glob("part-*.parquet"))


def rows_in(shard: Path) -> int:
    """Rows of a shard, read from its footer."""
    import pyarrow.parquet as pq

    rows: int = pq.read_metadata(shard).num_rows
    return rows


def number_shards(written: Iterable[str], folder: Path, target: Path) -> list[Path]:
    """Move files of `folder`, named so that they sort in corpus order, to `target` under their final names."""
    target.mkdir(parents=True, exist_ok=True)
    moved = []
    for number, name in enumerate(sorted(written)):
        moved.append(target / shard_name(number))
        os.replace(folder / name, moved[-1])
    return moved


@contextmanager
def new_folder(out: Path, facts: str, *, overwrite: bool) -> Iterator[Path]:
    """A folder beside `out` to write to, which takes its place when the block ends well and is removed otherwise."""
    check_free(out, facts, overwrite=overwrite)
    aside = out.with_name(f".{out.name}.partial")
    shutil.rmtree(aside, ignore_errors=True)
    try:
        make_folder(aside, asked=out)
        yield aside
        if out.exists() and any(out.iterdir()):
            shutil.rmtree(out)
        os.replace(aside, out)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def make_folder(folder: Path, *, asked: Path, exist_ok: bool = False) -> None:
    """Path.mkdir with parents. Raises ReknitError, naming the folder that was asked for, when it cannot be made."""
    try:
        folder.mkdir(parents=True, exist_ok=exist_ok)
    except OSError as error:
        raise ReknitError(f"{asked} cannot be made ({error.strerror}): give another folder with --out") from error


def check_free(out: Path, facts: str, *, overwrite: bool) -> None:
    """Raise ReknitError when `out` holds something else than what this job may write over.

    facts: name of the JSON file that tells a folder of the same kind.
    """
    if out.exists() and not out.is_dir():
        raise ReknitError(f"{out} is a file: give a folder with --out")
    if not out.exists() or not any(out.iterdir()):
        return
    if not (out / facts).is_file():
        raise ReknitError(f"{out} is not empty and holds no {facts}: give a new folder with --out")
    if not overwrite:
        raise ReknitError(f"{out} already holds a result ({facts}): add --overwrite to replace it")


def write_facts(path: Path, facts: dict[str, Any]) -> dict[str, Any]:
    """Write the JSON file of a folder; returns what it holds."""
    held = {"format": FORMAT, **facts}
    write_json(path, held)
    return held


def read_facts(path: Path) -> dict[str, Any]:
    """Raises ReknitError when the file is missing, damaged or of another version."""
    found = read_json(path)
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise ReknitError(f"{path} was written by another version of reknit and cannot be read: use --overwrite")
    return found
