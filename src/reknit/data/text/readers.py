"""From a path to documents: the one door through which every corpus comes in."""

from __future__ import annotations

import gzip
import logging
import os
import stat
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from reknit.data.text.curation import curate, normalise
from reknit.data.text.documents import Document, ReadReport
from reknit.data.text.files import clean, encoding_of, title_and_text
from reknit.data.text.python_docs import CORPUS_NAME, python_documentation
from reknit.data.text.records import Source, read_csv, read_json, read_parquet, read_saved_dataset
from reknit.errors import ReknitError

__all__ = ["corpus_sources", "curate", "normalise", "open_corpus", "read_documents", "read_source"]

logger = logging.getLogger("reknit")

TEXT_SUFFIXES = (".txt", ".md", ".rst", ".html", ".htm")
_RECORD_READERS: dict[str, Callable[[Source], Iterator[Document]]] = {
    ".jsonl": read_json,
    ".json": read_json,
    ".ndjson": read_json,
    ".csv": read_csv,
    ".tsv": read_csv,
    ".parquet": read_parquet,
}
COMPRESSED_SUFFIXES = (".gz", ".zst")
_BEIR_CORPUS = ("corpus.jsonl", "corpus.jsonl.gz", "corpus.jsonl.zst")
_SUPPORTED = ".txt .md .rst .html .htm .parquet, and .jsonl .json .ndjson .csv .tsv (these also as .gz, .zst)"


def open_corpus(name: str, report: ReadReport, *, max_bad: int = 100) -> Iterator[Document]:
    """The documents of a corpus as users name it: a path, read as `read_documents` says, or "python-docs" for the
    documentation that this Python carries. Counts and problems go to `report`."""
    if name != CORPUS_NAME:
        yield from read_documents(Path(name), report, max_bad=max_bad)
        return
    for document in python_documentation():
        report.read += 1
        yield document


def read_documents(path: Path, report: ReadReport, *, max_bad: int = 100) -> Iterator[Document]:
    """Stream the documents of a file or folder; counts and problems go to `report`.

    Read are: .txt, .md, .rst and .html files (one document each); .jsonl and .json records with a text, contents,
    content or body and optionally a title and an _id or id (BEIR, dolma and Pyserini records are such); .csv and .tsv
    with a header; each of these also as .gz and .zst; .parquet; a folder of any of them (all files below it, sorted,
    hidden ones left out); a BEIR folder (its corpus.jsonl, never its queries); a folder of `datasets.save_to_disk`.
    Text is UTF-8, or UTF-16 or UTF-32 with a byte order mark. A record without an id gets "file:line".

    One record is in memory at a time. A record or file that cannot be read is skipped and counted in
    `report.unreadable`. Raises ReknitError when the path does not exist or holds nothing to read, when a table has no
    text column, when more than `max_bad` records cannot be read, and at the end when there was no document at all.
    """
    path = Path(path)
    check_exists(path)
    found = 0
    for source in corpus_sources(path, report, max_bad=max_bad):
        for document in read_source(source):
            found += 1
            report.read += 1
            yield document
    if found == 0:
        raise empty_corpus(path, report)


def empty_corpus(path: Path, report: ReadReport) -> ReknitError:
    """The error of a corpus without documents."""
    why = f"; the first problem is {report.problems[0]}" if report.problems else ""
    return ReknitError(f"the corpus {path} is empty: it holds no documents{why}")


def check_exists(corpus: Path) -> None:
    """Raise ReknitError when there is no such file or folder."""
    if not corpus.exists():
        raise ReknitError(f"no corpus at {corpus}: there is no such file or folder")


def corpus_sources(path: Path, report: ReadReport, *, max_bad: int = 100) -> Iterator[Source]:
    """The files (and saved datasets) of a corpus, unread, in the order in which `read_documents` reads them.

    Raises ReknitError when there is nothing that reknit reads.
    """
    if path.is_file():
        if _reader_of(path) is None:
            raise ReknitError(f"{path} has a format that reknit does not read; supported are {_SUPPORTED}")
        yield Source(path, clean(path.name), report, max_bad)
        return
    yield from _sources_below(path, report, max_bad)


def read_source(source: Source) -> Iterator[Document]:
    """Read one of a corpus's files; whatever stops it midway is one problem, and what came before it stands."""
    if source.path.is_dir():
        yield from read_saved_dataset(source)
    else:
        yield from _read_file(source)


def _is_saved_dataset(path: Path) -> bool:
    saved = (path / "dataset_info.json").is_file() and (path / "state.json").is_file()
    return saved or (path / "dataset_dict.json").is_file()


def _sources_below(folder: Path, report: ReadReport, max_bad: int) -> Iterator[Source]:
    others: Counter[str] = Counter()
    readable = 0

    def unlisted(error: OSError) -> None:
        place = os.path.relpath(error.filename, folder)
        report.add_problem(place, f"the folder cannot be listed ({error.strerror})", max_bad=max_bad)

    for root, folders, files in os.walk(folder, onerror=unlisted):
        corpus = next((name for name in _BEIR_CORPUS if name in files), None)
        if _is_saved_dataset(Path(root)):
            folders.clear()
            readable += 1
            yield Source(Path(root), _name_below(folder, Path(root)), report, max_bad)
            continue
        if corpus is not None:
            # A BEIR folder: its queries and judgements are no documents.
            folders.clear()
            files = [corpus]
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(name for name in files if not name.startswith(".")):
            path = Path(root, name)
            if _reader_of(path) is None:
                others[path.suffix or name] += 1
                continue
            readable += 1
            yield Source(path, _name_below(folder, path), report, max_bad)
    if not others:
        return
    found = ", ".join(sorted(others)[:10])
    if readable == 0:
        raise ReknitError(f"{folder} holds no file that reknit reads, only {found}; supported are {_SUPPORTED}")
    logger.warning("corpus: %d files of other formats are passed over (%s)", others.total(), found)


def _name_below(folder: Path, path: Path) -> str:
    # A file's name may be of bytes that are no UTF-8, which Arrow does not store.
    return clean(folder.name if path == folder else path.relative_to(folder).as_posix())


def _reader_of(path: Path) -> Callable[[Source], Iterator[Document]] | None:
    suffix = path.suffix.lower()
    if suffix in TEXT_SUFFIXES:
        return _read_text
    if suffix in COMPRESSED_SUFFIXES:
        inner = Path(path.stem).suffix.lower()
        return None if inner == ".parquet" else _RECORD_READERS.get(inner)
    return _RECORD_READERS.get(suffix)


def _read_file(source: Source) -> Iterator[Document]:
    import zstandard

    reader = _reader_of(source.path)
    assert reader is not None
    try:
        # Opening a pipe or a device would wait or never end.
        if not stat.S_ISREG(source.path.stat().st_mode):
            source.problem(None, "not a regular file")
            return
        yield from reader(source)
    except UnicodeError as error:
        source.problem(None, f"wrong encoding ({error.__class__.__name__}: {str(error)[:80]})")
    except (gzip.BadGzipFile, EOFError, zlib.error, zstandard.ZstdError) as error:
        source.problem(None, f"damaged compressed file, not read to its end ({error})")
    except OSError as error:
        source.problem(None, f"cannot be read ({error.strerror or error})")


def _read_text(source: Source) -> Iterator[Document]:
    content = source.path.read_bytes()
    try:
        decoded = content.decode(encoding_of(content[:4]))
    except UnicodeDecodeError as error:
        source.problem(None, f"not UTF-8 (byte {error.start})")
        return
    title, text = title_and_text(decoded, source.path.suffix.lower())
    yield Document(source.name, title, text, source.name)
