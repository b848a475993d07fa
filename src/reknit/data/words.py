"""The words that a text is found by: what BM25 counts, and what a query is expanded by."""

from __future__ import annotations

import functools
import threading
from typing import Any

import regex

# Of scripts that are written without spaces: Han, kana, Thai, Lao, Burmese, Khmer.
UNSPACED = (
    "\u3041-\u309f\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"
)
# Lucene's English stop words, the set that BM25's implementations share.
STOP_WORDS = frozenset(
    "a an and are as at be but by for if in into is it no not of on or such that the their then there these they this "  # noqa: SIM905
    "to was will with".split()
)
# Letters carry their combining marks, of which many scripts write vowels; Python's own \w leaves marks out.
_WORD = regex.compile(rf"(?V1)[{UNSPACED}]+|[[\p{{L}}\p{{M}}\p{{N}}_]--[{UNSPACED}]]+")
_UNSPACED = regex.compile(f"[{UNSPACED}]")
_UPPER, _LOWER = r"(?:\p{Lu}\p{M}*)", r"(?:\p{Ll}\p{M}*)"
_PART = regex.compile(
    rf"{_UPPER}+(?={_UPPER}{_LOWER})|{_UPPER}?{_LOWER}+|{_UPPER}+|\p{{N}}+|[\p{{Lo}}\p{{Lm}}\p{{Lt}}\p{{M}}]+"
)


class Analyser:
    """Words by English stop words and the Snowball English ("Porter 2") stemmer.

    Words are runs of letters, digits and underscores, in lower case; in scripts without spaces every two neighbouring
    characters, as Lucene's analyser for Chinese and Japanese has it. split_identifiers: writeBoolean and write_boolean
    are also found by their parts.
    """

    def __init__(self, *, split_identifiers: bool = True) -> None:
        import Stemmer

        self.split_identifiers = split_identifiers
        self._stem = Stemmer.Stemmer("english").stemWords
        # A stemmer has one buffer for its work.
        self._one_at_a_time = threading.Lock()

    def __reduce__(self) -> Any:
        # A stemmer can neither be copied nor pickled.
        return functools.partial(Analyser, split_identifiers=self.split_identifiers), ()

    def words(self, text: str) -> list[str]:
        """The stems that a text is found by, in order."""
        words = [word for run in _WORD.findall(text) for word in _pairs(run)]
        if self.split_identifiers:
            words = [part for word in words for part in (word, *_parts(word))]
        kept = [word for word in map(str.lower, words) if word not in STOP_WORDS]
        with self._one_at_a_time:
            return self._stem(kept)


def with_parts(text: str) -> str:
    """The text, and behind it the parts of its identifiers in camel case, for search engines that split words at
    underscores but not there."""
    found = [part for word in _WORD.findall(text) for piece in word.split("_") for part in _parts(piece)]
    return " ".join([text, *found])


def _pairs(run: str) -> list[str]:
    """The overlapping pairs of characters of a run in a script without spaces; any other run is a word."""
    if len(run) < 3 or not _UNSPACED.match(run):
        return [run]
    return [run[place : place + 2] for place in range(len(run) - 1)]


def _parts(word: str) -> list[str]:
    """The words inside an identifier in camel case or with underscores; nothing for an ordinary word."""
    parts = _PART.findall(word)
    return parts if len(parts) > 1 else []
