"""The language of a corpus, by which its words are brought to their stems."""

from __future__ import annotations

import functools
import random
from collections import Counter
from collections.abc import Sequence
from operator import itemgetter
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
LANGUAGES = tuple(sorted(set(STEMMERS.values())))
# Lucene's English stop words, the set that BM25's implementations share.
_ENGLISH_STOP_WORDS = frozenset(
    "a an and are as at be but by for if in into is it no not of on or such that the their then there these they this "  # noqa: SIM905
    "to was will with".split()
)
_TEXTS, _LENGTH = 100, 1000  # looked at, and characters of each
_LEAST_WORDS = 20
# Of the words in running English a tenth are these, in other languages hardly any. Such a text need not be classified,
# which for the first one takes a second and 100 MB.
_ENGLISH_WORDS = frozenset(("and", "that", "the", "this", "with"))
_ENGLISH_SHARE = 0.08
_MOST = 0.5
_WORD = regex.compile(r"[\p{L}\p{M}]+")


def language_of(texts: Sequence[str]) -> str:
    """The name of the Snowball stemmer for the language that more than half of the texts are in, else "english".

    Looks at the beginnings of a hundred texts, drawn always alike. "english" also where there is too little to tell by
    (20 words), and where the language has no stemmer: a foreign stemmer leaves most of its words as they are.
    """
    votes: Counter[str] = Counter()
    for code, count in languages_of(texts).items():
        votes[STEMMERS.get(code, "english")] += count
    if not votes:
        return "english"
    language, most = max(sorted(votes.items()), key=itemgetter(1))
    return language if most > _MOST * votes.total() else "english"


def languages_of(texts: Sequence[str]) -> dict[str, int]:
    """{ISO 639-1 code: how many of the texts that are looked at}; nothing where there is too little to tell by."""
    sample = [texts[place][:_LENGTH] for place in places_to_look_at(len(texts))]
    told = [(text, words) for text in sample if (words := _WORD.findall(text.lower()))]
    if sum(len(words) for _, words in told) < _LEAST_WORDS:
        return {}
    return dict(Counter("en" if _is_english(words) else _code(text) for text, words in told))


def places_to_look_at(count: int) -> list[int]:
    """Of so many texts, the places of those that `language_of` looks at."""
    return sorted(random.Random(0).sample(range(count), min(count, _TEXTS)))


def _is_english(words: list[str]) -> bool:
    return sum(word in _ENGLISH_WORDS for word in words) > _ENGLISH_SHARE * len(words)


def _code(text: str) -> str:
    found: str = _identifier().classify(text)[0]
    return found


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
