"""The words that a text is found by."""

from __future__ import annotations

import pickle

import pytest

from reknit.data.words import Analyser
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
        ("Wiki\u0301 ὁδός ёлка 한국어 がく", ["wiki", "οδος", "елка", "한국어", "がく"]),
        ("the wings of p53", ["wing", "p53", "p", "53"]),
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
    ],
)
def test_words_lose_the_endings_and_stop_words_of_their_language(language, text, words):
    assert Analyser(language).words(text) == words


def test_a_language_without_a_stemmer_is_refused_in_one_line():
    with pytest.raises(ReknitError, match="no stemmer for 'klingon': take one of arabic,"):
        Analyser("klingon")


def test_a_copied_analyser_keeps_its_language():
    copied = pickle.loads(pickle.dumps(Analyser("german", split_identifiers=False)))
    assert copied.words("schöneHäuser") == Analyser("german", split_identifiers=False).words("schöneHäuser")
