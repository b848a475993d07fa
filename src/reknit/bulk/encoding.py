"""Encode every passage of a corpus into Parquet shards, on this machine: streaming, in bounded memory, resumable."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from reknit.bulk.shards import (
    StoredVectors,
    check_free,
    make_folder,
    read_facts,
    rows_in,
    shard_name,
    shards_of,
    write_facts,
    write_vectors,
)
from reknit.data.text.documents import ReadReport
from reknit.data.text.passage_store import Passage, cut_document
from reknit.data.text.passages import PASSAGE_WORDS
from reknit.data.text.readers import open_corpus
from reknit.errors import ReknitError
from reknit.jobs.files import disk_full_explained, remove
from reknit.jobs.machine import machine, versions
from reknit.jobs.memory import MemoryKeeper
from reknit.jobs.precision import PrecisionChoice, best_device, resolve_precision
from reknit.jobs.progress import Progress
from reknit.models.embedder import Embedder
from reknit.runs.corpus import check_corpus_path
from reknit.runs.run_folder import RunFolder

FACTS = "encoding.json"
ROWS_PER_SHARD = 32_768


@dataclass(frozen=True)
class EncodingSpec:
    """What is encoded and how.

    model: folder, run folder or hub id. corpus: anything `read_documents` reads, or "python-docs". layers, dims: of an
    elastic model, None for all. precision: of the matrix products. vectors: the type they are stored in. passage_words:
    longer documents are cut. max_bad: unreadable records to skip before giving up (on Ray, of each piece of the corpus
    and of all).
    """

    model: str
    corpus: str
    layers: int | None = None
    dims: int | None = None
    precision: PrecisionChoice = "auto"
    vectors: StoredVectors = "float32"
    passage_words: int = PASSAGE_WORDS
    max_bad: int = 100

    def __post_init__(self) -> None:
        if self.passage_words < 1:
            raise ReknitError(f"passages of {self.passage_words} words would be empty: give at least 1")


def passage_words_of(model: str) -> int:
    """How long the passages of a run folder's index are at most; of any other model `PASSAGE_WORDS`."""
    found = RunFolder(model).found()
    return (found and found.corpus and found.corpus.passage_words) or PASSAGE_WORDS


class PassageEncoder:
    """A model, loaded once, that encodes passages as its index would."""

    def __init__(self, spec: EncodingSpec) -> None:
        from reknit.api import load_embedder

        self.spec = spec
        self.model: Embedder = load_embedder(spec.model)
        self.precision = resolve_precision(spec.precision, best_device())
        self.keep_memory = MemoryKeeper()
        # A wrong size is found before the corpus is read.
        self.dim = self._encode([""]).shape[1]

    def __call__(self, passages: list[Passage], on_progress: Callable[[int, int], None] | None = None) -> np.ndarray:
        """[passages, dims] float32, whose dot products are the model's similarity."""
        self.keep_memory()
        return self._encode([passage.full_text for passage in passages], on_progress)

    def _encode(self, texts: list[str], on_progress: Callable[[int, int], None] | None = None) -> np.ndarray:
        vectors = self.model.encode(
            texts,
            layers=self.spec.layers,
            dims=self.spec.dims,
            prompt_name="document",
            precision=self.precision,
            on_progress=on_progress,
        )
        return self.model.comparable(vectors)


def encode_corpus(
    spec: EncodingSpec, out: str | Path, *, resume: bool = False, overwrite: bool = False, rows: int = ROWS_PER_SHARD
) -> dict[str, Any]:
    """Write the vectors of all passages to the folder `out`; returns what its encoding.json holds.

    Each shard of `rows` passages is written aside and renamed, so whatever stops the job, `resume` continues after the
    last whole one. encoding.json says `"complete": true` only at the end. In memory are the passages of two shards and
    the vectors of one. Raises ReknitError on bad input.
    """
    out = Path(out).resolve()
    check_corpus_path(spec.corpus, out)
    asked = dataclasses.asdict(spec)
    first = _whole_shards(out, asked, resume=resume, overwrite=overwrite)
    # Loaded before anything is deleted: a name that was mistyped costs no finished encoding.
    encoder = PassageEncoder(spec)
    if not resume:
        _make_room(out)
    report = ReadReport()
    with disk_full_explained(str(out)):
        write_facts(out / FACTS, {"complete": False, **asked})
        shards, passages = _encode_from(first, spec, encoder, out, report, rows)
        if passages == 0:
            raise without_text(spec.corpus)
        return write_facts(out / FACTS, encoding_facts(spec, encoder.model, encoder.dim, passages, shards, report))


def without_text(corpus: str) -> ReknitError:
    return ReknitError(f"{corpus} has no text: every document is empty; give a path with documents")


def encoding_facts(
    spec: EncodingSpec, model: Embedder, dim: int, passages: int, shards: int, report: ReadReport
) -> dict[str, Any]:
    """What encoding.json holds of a finished job."""
    return {
        "complete": True,
        **dataclasses.asdict(spec),
        "dims": dim,
        "passages": passages,
        "shards": shards,
        "similarity": "dot" if model.similarity == "dot" else "cosine",
        # Where the model compares by cosine the rows have length 1, so any store may compare them by dot product.
        "unit_length": model.similarity == "cosine",
        "compared_by": "dot product",
        "max_tokens": model.max_length,
        "read": report.read,
        "unreadable": report.unreadable,
        "problems": report.problems,
        "machine": machine(),
        "versions": versions(),
    }


def _whole_shards(out: Path, asked: dict[str, Any], *, resume: bool, overwrite: bool) -> int:
    """The number of shards in the folder that stay; raises ReknitError when it must not be written to."""
    if resume and overwrite:
        raise ReknitError("--resume and --overwrite exclude each other: give one of them")
    if resume:
        if not (out / FACTS).is_file():
            raise ReknitError(f"{out} holds no encoding to resume: leave --resume out to start one")
        before = read_facts(out / FACTS)
        if before.get("complete"):
            raise ReknitError(f"{out} is complete: there is nothing to resume")
        differing = [
            f"{name} {before.get(name)!r}, not {value!r}" for name, value in asked.items() if before.get(name) != value
        ]
        if differing:
            raise ReknitError(f"{out} was started with {'; '.join(differing)}: repeat its command with --resume")
        return len(shards_of(out))
    check_free(out, FACTS, overwrite=overwrite)
    return 0


def _make_room(out: Path) -> None:
    """An empty folder. One that is there stays itself, for it may be the one that the user stands in."""
    make_folder(out, asked=out, exist_ok=True)
    for old in out.iterdir():
        remove(old)


def _encode_from(
    first: int, spec: EncodingSpec, encoder: PassageEncoder, out: Path, report: ReadReport, rows: int
) -> tuple[int, int]:
    """(shards, passages) in the folder when the corpus is done; the first `first` shards are there already."""
    passages = cut_corpus(spec, report)
    done = 0
    for number in range(first):
        done += rows_in(out / shard_name(number))
    if sum(1 for _ in islice(passages, done)) < done:
        raise ReknitError(f"{out} has more passages than {spec.corpus}, which must have changed: use --overwrite")
    number = first
    # The next shard's passages are read and cut while this one's are encoded.
    with ThreadPoolExecutor(1) as reader, Progress() as progress:
        progress.start("encode", unit="passages", done=done)
        upcoming = reader.submit(lambda: list(islice(passages, rows)))
        while some := upcoming.result():
            upcoming = reader.submit(lambda: list(islice(passages, rows)))
            before = done
            vectors = encoder(some, lambda here, _: progress.update(before + here))  # noqa: B023  # called within
            write_vectors(out / shard_name(number), some, vectors, spec.vectors)
            done += len(some)
            number += 1
    return number, done


def cut_corpus(spec: EncodingSpec, report: ReadReport) -> Iterator[Passage]:
    """The passages of the whole corpus in order."""
    for document in open_corpus(spec.corpus, report, max_bad=spec.max_bad):
        yield from cut_document(document, spec.passage_words)
