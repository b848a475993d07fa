"""The words that a text is found by: what BM25 counts, and what a query is expanded by."""

from __future__ import annotations

import functools
import threading
import unicodedata
from typing import Any

import regex

from reknit.data.text.language import LANGUAGES, stop_words
from reknit.errors import ReknitError

# Of scripts that are written without spaces: Han, kana, Thai, Lao, Burmese, Khmer.
UNSPACED = (
    "\u3041-\u309f\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"
)
# Korean writes spaces, but the endings of its words have no stemmer here.
_PAIRED = f"{UNSPACED}\uac00-\ud7a3"
# Letters carry their combining marks, of which many scripts write vowels; Python's own \w leaves marks out.
_WORD = regex.compile(rf"(?V1)[{_PAIRED}]+|[[\p{{L}}\p{{N}}_]--[{_PAIRED}]][[\p{{L}}\p{{M}}\p{{N}}_]--[{_PAIRED}]]*")
_ACCENT = regex.compile("[\u0300-\u036f]")
_ALL_PAIRED = regex.compile(f"[{_PAIRED}]")
_UPPER, _LOWER = r"(?:\p{Lu}\p{M}*+)", r"(?:\p{Ll}\p{M}*+)"
_PART = regex.compile(
    rf"{_UPPER}+(?={_UPPER}{_LOWER})|{_UPPER}?{_LOWER}+|{_UPPER}+|\p{{N}}+|[\p{{Lo}}\p{{Lm}}\p{{Lt}}\p{{M}}]+"
)
_LONGEST_IDENTIFIER = 200  # what is longer is data
# Which Python makes other letters of than Turks do.
_TURKISH = str.maketrans("Iİ", "ıi")


class Analyser:
    """Words by the stop words and the Snowball stemmer of a language (of English the later one, "Porter 2").

    Words are runs of letters, digits and underscores, in lower case and without accents; in scripts without spaces,
    and in Korean, every two neighbouring characters, as Lucene's analyser for the languages of East Asia has it.
    language: as `language_of` names it. split_identifiers: writeBoolean and _write_boolean are also found by their
    parts. Raises ReknitError for a language without a stemmer.
    """

    def __init__(self, language: str = "english", *, split_identifiers: bool = True) -> None:
        import Stemmer

        if language not in LANGUAGES:
            raise ReknitError(f"there is no stemmer for {language!r}: take one of {', '.join(LANGUAGES)}")
        self.language = language
        self.split_identifiers = split_identifiers
        self._stop_words = stop_words(language)
        self._capitals = _TURKISH if language == "turkish" else {}
        self._stem = Stemmer.Stemmer(language).stemWords
        # A stemmer has one buffer for its work.
        self._one_at_a_time = threading.Lock()

    def __reduce__(self) -> Any:
        # A stemmer can neither be copied nor pickled.
        return functools.partial(Analyser, self.language, split_identifiers=self.split_identifiers), ()

    def words(self, text: str) -> list[str]:
        """The stems that a text is found by, in order."""
        if not text.isascii():
            # One text can be written in several ways: with composed or decomposed letters, in full or half width.
            text = unicodedata.normalize("NFKC", text)
        words = [word for run in _WORD.findall(text) for word in _pairs(run)]
        if self.split_identifiers:
            words = [part for word in words for part in (word, *_parts(word))]
        if self._capitals:
            words = [word.translate(self._capitals) for word in words]
        kept = [word for word in map(str.lower, words) if word not in self._stop_words]
        with self._one_at_a_time:
            stems = self._stem(kept)
        # Stemmers go by accents, so these fall last.
        return [stem if stem.isascii() else _without_accents(stem) for stem in stems]


def _pairs(run: str) -> list[str]:
    """The overlapping pairs of characters of a run that is told apart by these; any other run is a word."""
    if len(run) < 3 or not _ALL_PAIRED.match(run):
        return [run]
    return [run[place : place + 2] for place in range(len(run) - 1)]


def _parts(word: str) -> list[str]:
    """The words inside an identifier in camel case or with underscores; nothing for an ordinary word."""
    parts = _PART.findall(word) if len(word) <= _LONGEST_IDENTIFIER else [word]
    return [] if parts == [word] else parts


def _without_accents(word: str) -> str:
    """Without the combining marks of Latin, Greek and Cyrillic letters; other scripts write vowels with theirs."""
    return unicodedata.normalize("NFC", _ACCENT.sub("", unicodedata.normalize("NFKD", word)))
