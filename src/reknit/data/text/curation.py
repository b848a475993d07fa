"""Curation: empty documents, duplicates and the questions of evaluations leave the corpus."""

from __future__ import annotations

import hashlib
import re
import string
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from reknit.data.text.documents import Document, ReadReport
from reknit.data.text.hash_set import HashSet
from reknit.data.text.passages import SPACELESS_MARKS

MIN_PHRASE_WORDS = 3
_WORD = re.compile(r"\w+")
_ENDING = re.compile(r"[^\w\s]*\s*")
_COPY_MARKS = re.compile(r"(?:~\d+)+$")
_BORDER = string.punctuation + string.whitespace + "“”‘’«»…" + SPACELESS_MARKS


def normalise(text: str) -> str:
    """Text in the form in which texts are compared: NFKC, case folded, single spaces, no punctuation at the ends."""
    folded = " ".join(unicodedata.normalize("NFKC", text).casefold().split())
    return folded.strip(_BORDER)


@dataclass(frozen=True, slots=True)
class Screened:
    """A document that screening kept.

    content: a hash of 64 bits, equal for duplicates. overlapped: what repeats an evaluation's query was taken away.
    """

    document: Document
    content: int
    overlapped: bool


class Screen:
    """What curation does to a document without looking at any other: a pure function of the document.

    exclude: texts of evaluation queries, as in `curate`.
    """

    def __init__(self, exclude: Iterable[str] = ()) -> None:
        exclude = list(exclude)
        self._excluded = {normalise(text) for text in exclude} - {""}
        self._phrases = _phrases(exclude)

    def __call__(self, document: Document) -> Screened | Literal["empty", "overlap"]:
        """The document as it stays, or why it is dropped."""
        title, text = document.title.strip(), document.text.strip()
        if not text:
            title, text = "", title
        normal_title, normal_text = normalise(title), normalise(text)
        if not text:
            return "empty"
        remaining = _without_phrases(text, self._phrases) if self._phrases else text
        if normal_text in self._excluded or not (normalise(remaining) or remaining == text):
            return "overlap"
        overlapped = normal_title in self._excluded or remaining != text
        if overlapped:
            title = "" if normal_title in self._excluded else title
            text, normal_title, normal_text = remaining, normalise(title), normalise(remaining)
        # Texts of punctuation alone normalise to nothing; they are told apart as they stand.
        content = hash_text(f"{normal_title}\0{normal_text or text}")
        return Screened(replace(document, title=title, text=text), content, overlapped)


def curate(
    documents: Iterable[Document], report: ReadReport, *, exclude: frozenset[str] = frozenset()
) -> Iterator[Document]:
    """Drop empty documents, exact duplicates and repeated queries of evaluations; streams.

    exclude: texts of evaluation queries, or other texts that are measured by. A document whose text is one of them
    (both normalised) is dropped; a document whose title is one of them loses the title; where one of three words or
    more stands in a text, word for word in any case and punctuation, it is cut out. Each document so changed counts
    once in `report.eval_overlaps`.
    Duplicates are documents whose normalised title and text are the same. A document that has a title only keeps it as
    its text. Documents that share an id get different ones ("id~2"). Memory: two hashes of 8 bytes per document
    (of a hundred million documents, one is taken for a duplicate by mistake with a probability of about 0.0003).
    """
    screen = Screen(exclude)
    contents, ids = HashSet(), HashSet()
    for document in documents:
        screened = screen(document)
        if screened == "empty":
            report.empty += 1
        elif screened == "overlap":
            report.eval_overlaps += 1
        else:
            report.eval_overlaps += screened.overlapped
            if not contents.add(screened.content):
                report.duplicates += 1
                continue
            report.documents += 1
            yield replace(screened.document, id=unique_id(document.id, ids))


Phrases = dict[tuple[str, ...], list[tuple[int, list[str]]]]


def _phrases(texts: Iterable[str]) -> Phrases:
    """The word sequences of the texts, with the texts' numbers, by their first `MIN_PHRASE_WORDS` words, longest
    first."""
    found: Phrases = {}
    numbered = enumerate([word.casefold() for word in _WORD.findall(text)] for text in texts)
    for number, words in sorted(numbered, key=lambda one: len(one[1]), reverse=True):
        if len(words) >= MIN_PHRASE_WORDS:
            found.setdefault(tuple(words[:MIN_PHRASE_WORDS]), []).append((number, words))
    return found


def _standing_at(place: int, words: list[str], phrases: Phrases) -> Iterator[tuple[int, int]]:
    """(number, length in words) of the phrases that begin at a place of a text's words, longest first."""
    for number, phrase in phrases.get(tuple(words[place : place + MIN_PHRASE_WORDS]), ()):
        if words[place : place + len(phrase)] == phrase:
            yield number, len(phrase)


def phrases_standing_in(texts: Sequence[str]) -> Callable[[str], set[int]]:
    """A function that gives the numbers of those of the `texts` that stand in a text, word for word in any case and
    punctuation; those of less than three words are not looked for."""
    phrases = _phrases(texts)

    def standing_in(text: str) -> set[int]:
        words = [word.casefold() for word in _WORD.findall(text)]
        return {number for place in range(len(words)) for number, _ in _standing_at(place, words, phrases)}

    return standing_in


def _without_phrases(text: str, phrases: Phrases) -> str:
    """The text with every occurrence of a phrase, and the punctuation that ends it, cut out."""
    matches = list(_WORD.finditer(text))
    words = [match.group().casefold() for match in matches]
    kept: list[str] = []
    place = end = 0
    while place <= len(words) - MIN_PHRASE_WORDS:
        _, length = next(_standing_at(place, words, phrases), (0, 0))
        if length:
            kept.append(text[end : matches[place].start()])
            last = matches[place + length - 1].end()
            ending = _ENDING.match(text, last)
            end = ending.end() if ending else last
        place += length or 1
    return "".join([*kept, text[end:]]).strip() if kept else text


def unique_id(wanted: str, taken: HashSet) -> str:
    """The id, or the first of id~2, id~3 ... that is not in `taken` (hashes of ids), where it is then added."""
    name, copy = wanted, 1
    while not taken.add(hash_text(name)):
        copy += 1
        name = f"{wanted}~{copy}"
    return name


def id_family(document_id: str) -> str:
    """What ids that `unique_id` may have to tell apart have in common: the id without any ~2 at its end."""
    return _COPY_MARKS.sub("", document_id)


def hash_text(text: str) -> int:
    """64 bits, the same on every machine."""
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=8).digest(), "little")
