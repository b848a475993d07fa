"""Curation: empty documents, duplicates and the questions of evaluations leave the corpus."""

from __future__ import annotations

import hashlib
import re
import string
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import replace

from reknit.data.documents import Document, ReadReport

MIN_PHRASE_WORDS = 3
_WORD = re.compile(r"\w+")
_ENDING = re.compile(r"[^\w\s]*\s*")
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
    whose title is one of them loses the title; where one of three words or more stands in a text, word for word in any
    case and punctuation, it is cut out. Each document so changed counts once in `report.eval_overlaps`.
    Duplicates are documents whose normalised title and text are the same. A document that has a title only keeps it as
    its text. Documents that share an id get different ones ("id~2"). Memory: two hashes of 16 bytes per document.
    """
    excluded = {normalise(text) for text in exclude} - {""}
    phrases = _phrases(exclude)
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
        remaining = _without_phrases(text, phrases) if phrases else text
        if normal_text in excluded or not (normalise(remaining) or remaining == text):
            report.eval_overlaps += 1
            continue
        if normal_title in excluded or remaining != text:
            report.eval_overlaps += 1
            title = "" if normal_title in excluded else title
            text, normal_title, normal_text = remaining, normalise(title), normalise(remaining)
        # Texts of punctuation alone normalise to nothing; they are told apart as they stand.
        content = _hash(f"{normal_title}\0{normal_text or text}")
        if content in contents:
            report.duplicates += 1
            continue
        contents.add(content)
        report.documents += 1
        yield replace(document, id=_unique_id(document.id, ids), title=title, text=text)


def _phrases(texts: Iterable[str]) -> dict[tuple[str, ...], list[list[str]]]:
    """The word sequences of the texts by their first `MIN_PHRASE_WORDS` words, longest first."""
    found: dict[tuple[str, ...], list[list[str]]] = {}
    for words in sorted(([word.casefold() for word in _WORD.findall(text)] for text in texts), key=len, reverse=True):
        if len(words) >= MIN_PHRASE_WORDS:
            found.setdefault(tuple(words[:MIN_PHRASE_WORDS]), []).append(words)
    return found


def _without_phrases(text: str, phrases: dict[tuple[str, ...], list[list[str]]]) -> str:
    """The text with every occurrence of a phrase, and the punctuation that ends it, cut out."""
    matches = list(_WORD.finditer(text))
    words = [match.group().casefold() for match in matches]
    kept: list[str] = []
    place = end = 0
    while place <= len(words) - MIN_PHRASE_WORDS:
        candidates = phrases.get(tuple(words[place : place + MIN_PHRASE_WORDS]), [])
        length = next((len(each) for each in candidates if words[place : place + len(each)] == each), 0)
        if length:
            kept.append(text[end : matches[place].start()])
            last = matches[place + length - 1].end()
            ending = _ENDING.match(text, last)
            end = ending.end() if ending else last
        place += length or 1
    return "".join([*kept, text[end:]]).strip() if kept else text


def _unique_id(wanted: str, taken: set[bytes]) -> str:
    name, copy = wanted, 1
    while (key := _hash(name)) in taken:
        copy += 1
        name = f"{wanted}~{copy}"
    taken.add(key)
    return name


def _hash(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=16).digest()
