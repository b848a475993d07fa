"""The words that a text is found by."""

from __future__ import annotations

import pickle
import unicodedata

import pytest

from reknit.data.text.words import Analyser
from reknit.errors import ReknitError


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("writeBoolean", ["writeboolean", "write", "boolean"]),
        ("read_HTTPHeader", ["read_httphead", "read", "http", "header"]),
        ("Größe der Äpfel", ["große", "der", "apfel"]),
        ("De\u0301ja\u0300 ЯндексПоиск", ["deja", "яндекспоиск", "яндекс", "поиск"]),
        ("हिन्दी में खोज", ["हिन्दी", "में", "खोज"]),
        ("数据库", ["数据", "据库"]),
        ("__init__(self, _cache)", ["__init__", "init", "self", "_cach", "cach"]),
        ("Wiki\u0301 ὁδός ёлка 한국어 がく", ["wiki", "οδος", "елка", "한국", "국어", "がく"]),
        ("the wings of p53", ["wing", "p53", "p", "53"]),
        ("ｂｏｏｋｓ of ℌouses", ["book", "hous"]),  # in full width; a letter of mathematics
        ("\u2764\ufe0f \u0301 +\u0301", []),  # marks without a letter
        ("ﷺ", ["صلى", "الله", "عليه", "وسلم"]),  # a phrase in one character
    ],
)
def test_words_are_found_whole_and_identifiers_by_their_parts_too(text, words):
    assert Analyser().words(text) == words


@pytest.mark.parametrize(
    ("language", "text", "words"),
    [
        ("german", "Die Häuser der Städte", ["haus", "stadt"]),
        ("french", "les chevaux des écuries", ["cheval", "ecur"]),
        ("finnish", "taloissa", ["talo"]),  # a language without a list of stop words
        (
            "english",
            "서울은 서울에서 AI는",
            ["서울", "울은", "서울", "울에", "에서", "ai", "는"],
        ),  # Korean has no stemmer
        ("turkish", "IŞIK Işık ışık İstanbul istanbul", ["ısık", "ısık", "ısık", "istanbul", "istanbul"]),
    ],
)
def test_words_lose_the_endings_and_stop_words_of_their_language(language, text, words):
    assert Analyser(language).words(text) == words


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("french", "école créée à côté"),
        ("russian", "чёрный край, который мой"),
        ("english", "データベース"),
        ("hindi", "ज़मीन पर हिन्दी"),
    ],
)
def test_composed_and_decomposed_letters_are_the_same_words(language, text):
    composed, decomposed = (Analyser(language).words(unicodedata.normalize(form, text)) for form in ("NFC", "NFD"))
    assert composed == decomposed


def test_a_word_that_is_data_is_not_taken_apart():
    word = "aB" * 200_000
    assert Analyser().words(f"{word} aB") == [word.lower(), "ab", "b"]  # "a" is a stop word


def test_a_language_without_a_stemmer_is_refused_in_one_line():
    with pytest.raises(ReknitError, match="no stemmer for 'klingon': take one of arabic,"):
        Analyser("klingon")


def test_a_copied_analyser_keeps_its_language():
    copied = pickle.loads(pickle.dumps(Analyser("german", split_identifiers=False)))
    assert copied.words("schöneHäuser") == Analyser("german", split_identifiers=False).words("schöneHäuser")
