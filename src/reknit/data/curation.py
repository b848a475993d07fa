"""Curation: empty documents, duplicates and the questions of evaluations leave the corpus."""

from __future__ import annotations

import hashlib
import string
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import replace

from reknit.data.documents import Document, ReadReport

_BORDER = string.punctuation + string.whitespace + "“”‘’«»…。！？"


def normalise(text: str) -> str:
    """Text in the form in which texts are compared: NFKC, case folded, single spaces, no punctuation at the ends."""
    folded = " ".join(unicodedata.normalize("NFKC", text).casefold().split())
    return folded.strip(_BORDER)


def curate(
    documents: Iterable[Document], report: ReadReport, *, exclude: frozenset[str] = frozenset()
) -> Iterator[Document]:
    """Drop empty documents, exact duplicates and repeated queries of evaluations; streams.

    exclude: texts of evaluation queries. A document whose text is one of them (both normalised) is dropped; a document
    whose title is one of them loses the title. Duplicates are documents whose normalised title and text are the same.
    A document that has a title only keeps it as its text. Documents that share an id get different ones ("id~2").
    Memory: two hashes of 16 bytes per document.
    """
    excluded = {normalise(text) for text in exclude} - {""}
    contents: set[bytes] = set()
    ids: set[bytes] = set()
    for document in documents:
        title, text = document.title.strip(), document.text.strip()
        if not text:
            title, text = "", title
        normal_title, normal_text = normalise(title), normalise(text)
        if not text:
            report.empty += 1
            continue
        if normal_text in excluded:
            report.eval_overlaps += 1
            continue
        if normal_title in excluded:
            report.eval_overlaps += 1
            title = normal_title = ""
        # Texts of punctuation alone normalise to nothing; they are told apart as they stand.
        content = _hash(f"{normal_title}\0{normal_text or text}")
        if content in contents:
            report.duplicates += 1
            continue
        contents.add(content)
        report.documents += 1
        yield replace(document, id=_unique_id(document.id, ids), title=title, text=text)


def _unique_id(wanted: str, taken: set[bytes]) -> str:
    name, copy = wanted, 1
    while (key := _hash(name)) in taken:
        copy += 1
        name = f"{wanted}~{copy}"
    taken.add(key)
    return name


def _hash(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=16).digest()
