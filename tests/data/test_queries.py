"""Pseudo-queries: where they come from, and what they never show."""

from __future__ import annotations

from pathlib import Path

import pytest

from reknit.data.documents import Document
from reknit.data.holdout import hold_out
from reknit.data.queries import MAX_SENTENCE_WORDS, is_prose, mine_queries
from reknit.data.store import PassageStore


def sentence(document: int, number: int, words: int = 8) -> str:
    return " ".join(f"w{document}x{number}y{place}" for place in range(words)) + "."


@pytest.fixture
def store(tmp_path: Path) -> PassageStore:
    documents = [
        Document(f"d{n}", f"Title of {n}", " ".join(sentence(n, k, words=8 + 12 * (k == 2) * 2) for k in range(6)))
        for n in range(40)
    ]
    return PassageStore.build(documents, tmp_path / "passages.arrow", max_words=40)


def mined(store: PassageStore, **changed):
    settings = {"per_passage": 8, "limit": 10_000, "seed": 0} | changed
    return mine_queries(store, list(range(len(store))), {}, **settings)


def test_queries_are_titles_and_windows_of_sentences_of_their_passage(store: PassageStore) -> None:
    queries = mined(store)
    assert {query.kind for query in queries} == {"title", "sentence"}
    for query in queries:
        passage = store[query.passage]
        assert query.text in (passage.title if query.kind == "title" else passage.text)
        assert len(query.text.split()) <= MAX_SENTENCE_WORDS
    assert max(len(query.text.split()) for query in queries) == MAX_SENTENCE_WORDS
    titles = [query.text for query in queries if query.kind == "title"]
    assert sorted(titles) == sorted({passage.title for passage in store}), "every title once"


def test_limits_and_seed(store: PassageStore) -> None:
    assert mined(store) == mined(store)
    assert mined(store) != mined(store, seed=1)
    assert len(mined(store, limit=17)) == 17
    counts: dict[int, int] = {}
    for query in mined(store, per_passage=2):
        counts[query.passage] = counts.get(query.passage, 0) + 1
    assert max(counts.values()) == 2


def test_what_is_held_out_is_never_a_query(store: PassageStore) -> None:
    held = hold_out(store, queries=8, seed=0)
    hidden = {text for part in (held.dev, held.test) for text in part.queries.values()}
    queries = mine_queries(store, list(range(len(store))), held.training_text, per_passage=8, limit=10_000, seed=0)
    assert hidden
    assert queries
    assert not hidden & {query.text for query in queries}


@pytest.mark.parametrize(
    ("text", "prose"),
    [
        ("Writes a Boolean to the stream.", True),
        ("wing-body interference at high (supersonic) speed , for example", True),
        ("self.stream.write(t) = TYPE_BOOL_TRUE if n is False", False),
        ("| 12.5 | 33.1 | 7 | total |", False),
        ("Die Verteidigung der Panthers gab nur 308 Punkte ab.", True),
        ("これは検索のための文です。", True),
    ],
)
def test_people_search_in_words(text: str, prose: bool) -> None:
    assert is_prose(text) == prose


def test_code_gives_its_words_before_its_lines(tmp_path: Path) -> None:
    code = (
        'def write(self, n):\n    """Writes a number to the stream."""\n    self.stream.write(n * 2)\n    return n - 1'
    )
    lines = "a[0] = b[1] + c[2]\nd[3] = e[4] * f[5]\ng[6] = h[7] - i[8]"
    store = PassageStore.build([Document("a", "", code), Document("b", "", lines)], tmp_path / "passages.arrow")
    texts = {number: [q.text for q in mined(store) if q.passage == number] for number in range(2)}
    assert texts[0] == ["Writes a number to the stream."]
    assert len(texts[1]) == 3
