"""Pseudo-queries: where they come from, and what they never show."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reknit.data.text.documents import Document
from reknit.data.text.holdout import hold_out
from reknit.data.text.passage_store import PassageStore
from reknit.sources.pseudo_queries import MAX_SENTENCE_WORDS, is_prose, mine_queries


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
        ("हिन्दी में खोज के लिए एक वाक्य।", True),
        ("ประโยคภาษาไทยสำหรับการค้นหา", True),
        ("「京都」は、1,200年の歴史がある、日本の都市である。", True),
        ("価格 1200 1350 99.5 (+3.2%) 2024/05/01", False),
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


def own_sentence(document: int, number: int, words: int = 8) -> str:
    """As `sentence`, in letters, and as sentences begin."""
    return sentence(document, number, words).translate(str.maketrans("0123456789", "abcdefghij")).capitalize()


def queries_of(folder: Path, *texts: str, title: str = "", **changed) -> dict[int, list[str]]:
    """{passage: its pseudo-queries} of documents of one passage each."""
    documents = [Document(str(n), title, text) for n, text in enumerate(texts)]
    store = PassageStore.build(documents, folder / "passages.arrow", max_words=1000)
    found = mined(store, **changed)
    return {number: [query.text for query in found if query.passage == number] for number in range(len(texts))}


def test_what_stands_in_several_documents_belongs_to_none_of_them(tmp_path: Path) -> None:
    licence = "All rights of this text are reserved."
    found = queries_of(tmp_path, *(f"{own_sentence(n, 0)} {licence}" for n in range(5)), title="One title of all")
    assert found == {n: [own_sentence(n, 0)] for n in range(5)}


def test_passages_that_have_nothing_else_share_it_out(tmp_path: Path) -> None:
    # Chunks that overlap by half: every sentence but the first and the last stands in two of them.
    sentences = [own_sentence(0, k) for k in range(8)]
    chunks = [" ".join(sentences[first : first + 2]) for first in range(7)]
    found = [text for mine in queries_of(tmp_path, *chunks).values() for text in mine]
    assert sorted(found) == sentences


def test_a_title_that_begins_its_text_is_one_query(tmp_path: Path) -> None:
    found = queries_of(tmp_path, "Wings in a stream . They shed vortices .", title="wings in a stream")
    assert sorted(found[0]) == ["They shed vortices .", "wings in a stream"] or found[0] == ["wings in a stream"]


def test_text_without_punctuation_gives_as_many_queries_as_it_has_room_for(tmp_path: Path) -> None:
    words = [f"w{n}" for n in range(100)]
    (found,) = queries_of(tmp_path, " ".join(words)).values()
    assert len(found) == 4
    assert all(len(query.split()) == MAX_SENTENCE_WORDS for query in found)
    assert len({word for query in found for word in query.split()}) == 4 * MAX_SENTENCE_WORDS
    (fewer,) = queries_of(tmp_path, " ".join(words), per_passage=2).values()
    assert len(fewer) == 2


SENTENCES = [own_sentence(0, k, words=30 * (k % 3) + 5) for k in range(9)]


@given(st.lists(st.sets(st.sampled_from(range(9))), min_size=1, max_size=6), st.integers(0, 3))
def test_a_text_is_asked_for_one_passage_only(parts: list[set[int]], seed: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        texts = [" ".join(SENTENCES[k] for k in sorted(part)) or "Nothing here." for part in parts]
        found = queries_of(Path(folder), *texts, seed=seed, per_passage=99)
    asked = {n: {"abcdefghij".index(re.findall("x(.)y", query)[0]) for query in of} for n, of in found.items()}
    holders = {k: [n for n, part in enumerate(parts) if k in part] for k in range(9)}
    alone = {n: {k for k in part if holders[k] == [n]} for n, part in enumerate(parts)}
    for number, part in enumerate(parts):
        assert asked[number] <= part
        if alone[number]:
            assert asked[number] == alone[number]
    for k, those in holders.items():
        assert sum(k in asked[n] for n in those) == bool([n for n in those if not alone[n] or k in alone[n]])
