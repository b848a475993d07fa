"""The words that a text is found by."""

from __future__ import annotations

import pytest

from reknit.data.words import Analyser, with_parts


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("writeBoolean", ["writeboolean", "write", "boolean"]),
        ("read_HTTPHeader", ["read_httphead", "read", "http", "header"]),
        ("Größe der Äpfel", ["größe", "der", "äpfel"]),
        ("De\u0301ja\u0300 ЯндексПоиск", ["de\u0301ja\u0300", "яндекспоиск", "яндекс", "поиск"]),
        ("हिन्दी में खोज", ["हिन्दी", "में", "खोज"]),
        ("数据库", ["数据", "据库"]),
        ("the wings of p53", ["wing", "p53", "p", "53"]),
    ],
)
def test_words_are_found_whole_and_identifiers_by_their_parts_too(text, words):
    assert Analyser().words(text) == words


def test_what_an_engine_that_splits_at_underscores_lacks_is_put_behind_the_text():
    assert with_parts("def writeBoolean(self, HTTP_port)") == "def writeBoolean(self, HTTP_port) write Boolean"
    assert with_parts("write_boolean of Größe.") == "write_boolean of Größe."
