"""A corpus in pieces that different machines can read: its files, small ones together, in corpus order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from reknit.data.text.documents import Document, ReadReport
from reknit.data.text.python_docs import CORPUS_NAME
from reknit.data.text.readers import corpus_sources, open_corpus, read_source
from reknit.data.text.records import Source

PIECE_BYTES = 16 * 2**20


@dataclass(frozen=True)
class Piece:
    """Consecutive files of a corpus: number in the corpus, and (path, name in ids and problems) of each file.

    A piece without files is the documentation of the Python that reads it.
    """

    number: int
    files: tuple[tuple[str, str], ...]


def corpus_pieces(corpus: str, report: ReadReport, *, max_bad: int, size: int = PIECE_BYTES) -> list[Piece]:
    """The pieces of a corpus: files joined up to about `size` bytes; a larger file is a piece of its own.

    report: problems of listing the files. Raises ReknitError when there is nothing that reknit reads.
    """
    if corpus == CORPUS_NAME:
        return [Piece(0, ())]
    groups: list[list[tuple[str, str]]] = []
    filled = size
    for source in corpus_sources(Path(corpus).resolve(), report, max_bad=max_bad):
        held = source.path.stat().st_size if source.path.is_file() else size
        if filled + held > size:
            groups.append([])
            filled = 0
        groups[-1].append((str(source.path), source.name))
        filled += held
    return [Piece(number, tuple(group)) for number, group in enumerate(groups)]


def read_piece(piece: Piece, report: ReadReport, *, max_bad: int) -> Iterator[Document]:
    """The documents of a piece; counts and problems go to `report`."""
    if not piece.files:
        yield from open_corpus(CORPUS_NAME, report)
    for path, name in piece.files:
        for document in read_source(Source(Path(path), name, report, max_bad)):
            report.read += 1
            yield document
