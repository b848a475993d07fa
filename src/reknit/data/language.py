"""The language of a corpus, by which its words are brought to their stems."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import regex

# What py3langid can name (ISO 639-1) and the Snowball project has a stemmer for (https://snowballstem.org/algorithms).
STEMMERS = {
    "ar": "arabic",
    "ca": "catalan",
    "cs": "czech",
    "da": "danish",
    "de": "german",
    "el": "greek",
    "en": "english",
    "eo": "esperanto",
    "es": "spanish",
    "et": "estonian",
    "eu": "basque",
    "fa": "persian",
    "fi": "finnish",
    "fr": "french",
    "ga": "irish",
    "hi": "hindi",
    "hu": "hungarian",
    "hy": "armenian",
    "id": "indonesian",
    "it": "italian",
    "lt": "lithuanian",
    "ne": "nepali",
    "nl": "dutch",
    "nn": "norwegian",
    "no": "norwegian",
    "pl": "polish",
    "pt": "portuguese",
    "ro": "romanian",
    "ru": "russian",
    "sr": "serbian",
    "st": "sesotho",
    "sv": "swedish",
    "ta": "tamil",
    "tr": "turkish",
}
# Lucene's English stop words, the set that BM25's implementations share.
_ENGLISH_STOP_WORDS = frozenset(
    "a an and are as at be but by for if in into is it no not of on or such that the their then there these they this "  # noqa: SIM905
    "to was will with".split()
)
_TEXTS, _LENGTH = 100, 1000  # looked at, and characters of each
_LEAST_WORDS = 20
# Of the words in running English a fifth are these, in code with English comments one in twenty, in other languages
# hardly any (Dutch "of", Polish "to"). Where they are as many as this, nothing else needs to be asked, which takes a
# second and 100 MB.
_ENGLISH_WORDS = frozenset(("and", "of", "that", "the", "this", "to", "with"))
_ENGLISH_SHARE = 0.03
_MOST = 0.5
_WORD = regex.compile(r"[\p{L}\p{M}]+")


def language_of(texts: Sequence[str]) -> str:
    """The name of the Snowball stemmer for the language that more than half of the texts are in, else "english".

    Looks at the beginnings of a hundred texts, evenly spread. "english" also where there is too little to tell by (20
    words), and where the language has no stemmer: a foreign stemmer leaves most of its words as they are.
    """
    sample = [text[:_LENGTH] for text in texts[:: len(texts) // _TEXTS + 1]]
    words = [word for text in sample for word in _WORD.findall(text.lower())]
    if len(words) < _LEAST_WORDS or sum(word in _ENGLISH_WORDS for word in words) > _ENGLISH_SHARE * len(words):
        return "english"
    found = [STEMMERS.get(_identifier().classify(text)[0], "english") for text in sample if _WORD.search(text)]
    most = max(sorted(set(found)), key=found.count)
    return most if found.count(most) > _MOST * len(found) else "english"


def stop_words(language: str) -> frozenset[str]:
    """Words that say nothing of what a text is about: Lucene's for English, for other languages NLTK's, as bm25s has
    them; none where it has none."""
    if language == "english":
        return _ENGLISH_STOP_WORDS
    from bm25s import stopwords  # which imports much

    return frozenset(getattr(stopwords, f"STOPWORDS_{language.upper()}", ()))


@functools.cache
def _identifier() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE)
