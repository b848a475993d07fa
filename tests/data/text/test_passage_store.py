"""The passage store against a plain list of passages."""

import random

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reknit.data.text.documents import Document
from reknit.data.text.passage_store import ROWS_PER_RECORD_BATCH, Passage, PassageStore
from reknit.data.text.passages import split_passages
from reknit.errors import ReknitError


def naive(documents: list[Document], max_words: int) -> list[Passage]:
    result, number = [], 0
    for document in documents:
        title, text = (document.title, document.text) if document.text.strip() else ("", document.title)
        parts = split_passages(text, max_words)
        result += [
            Passage(document.id, part, title, passage, len(parts), number, document.source)
            for part, passage in enumerate(parts)
        ]
        number += bool(parts)
    return result


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(
        st.tuples(
            st.text(max_size=5),
            st.sampled_from(["", "T", "a title"]),
            st.text("ab .\n文", max_size=60),
            st.sampled_from(["", "es/a.txt", "ést/a.txt"]),
        ),
        max_size=8,
    ),
    max_words=st.integers(1, 9),
)
def test_a_store_is_the_list_of_its_passages(tmp_path, rows, max_words):
    documents = [Document(*row) for row in rows]
    expected = naive(documents, max_words)
    if not expected:
        with pytest.raises(ReknitError, match="no text"):
            PassageStore.build(documents, tmp_path / "s.arrow", max_words=max_words)
        return
    store = PassageStore.build(documents, tmp_path / "s.arrow", max_words=max_words)
    assert list(store) == expected
    assert [store[number] for number in range(len(store))] == expected
    assert store[-1] == expected[-1]
    assert store.document_numbers.tolist() == [passage.document for passage in expected]


def test_random_access_across_record_batches(tmp_path):
    count = 2 * ROWS_PER_RECORD_BATCH + 5
    store = PassageStore.build((Document(str(n), "", f"text {n}") for n in range(count)), tmp_path / "s.arrow")
    for number in (0, ROWS_PER_RECORD_BATCH - 1, ROWS_PER_RECORD_BATCH, 2 * ROWS_PER_RECORD_BATCH, count - 1):
        assert store[number].text == f"text {number}"
    assert (len(store), store.num_documents, store.words) == (count, count, 2 * count)
    for number in (count, -count - 1):
        with pytest.raises(IndexError):
            store[number]


def test_ids_and_full_texts(tmp_path):
    documents = [Document("one", "Title", "a b"), Document("two", "", "a b c d"), Document("three", "x" * 600, "text")]
    store = PassageStore.build(documents, tmp_path / "s.arrow", max_words=2)
    assert [passage.id for passage in store][:3] == ["one", "two#0", "two#1"]
    assert store[0].full_text == "Title a b"
    assert store[1].full_text == "a b"
    assert store[3].title == "", "a title as long as a text is not repeated in every passage"
    assert "".join("".join(p.text for p in store if p.document_id == "three").split()) == "x" * 600 + "text"


def test_a_build_that_fails_leaves_the_old_store(tmp_path):
    path = tmp_path / "s.arrow"
    PassageStore.build([Document("1", "", "old")], path)

    def failing():
        yield Document("1", "", "new")
        raise RuntimeError("killed")

    with pytest.raises(RuntimeError):
        PassageStore.build(failing(), path)
    assert PassageStore.open(path)[0].text == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["s.arrow"]


def test_missing_and_damaged_stores(tmp_path):
    with pytest.raises(ReknitError, match="no passage store"):
        PassageStore.open(tmp_path / "s.arrow")
    path = tmp_path / "s.arrow"
    PassageStore.build([Document("1", "", "text " * 100)], path)
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(ReknitError, match="damaged"):
        PassageStore.open(path)


SOURCES = ("de/a.jsonl", "de/b.jsonl", "den/a.jsonl", "es.jsonl", "es/a%_.*txt", "")


def mixed_store(path, documents: int) -> PassageStore:
    chance = random.Random(0)
    return PassageStore.build(
        (Document(str(n), "", "word " * chance.randrange(1, 9), chance.choice(SOURCES)) for n in range(documents)),
        path,
        max_words=3,
    )


def test_passages_below_a_path_are_those_of_a_loop_over_all(tmp_path):
    store = mixed_store(tmp_path / "s.arrow", ROWS_PER_RECORD_BATCH)
    assert len(store) > ROWS_PER_RECORD_BATCH, "of several record batches"
    every = [passage.source for passage in store]
    for below in ("de", "de/", "de/a", "den/a.jsonl", "es", "es/a%", "es/a.", "fr", "jsonl", "", "DE"):
        found = store.numbers_below(below)
        assert found.tolist() == [number for number, source in enumerate(every) if source.startswith(below)], below
        assert found.itemsize == 4
    tops = ["de/", "den/", "es/", "es.jsonl", ""]
    assert sorted(store.top_sources(99)) == sorted(tops)
    first = next(top for top in tops if every[0].startswith(top))
    assert store.top_sources(1) == [first]


def test_a_store_from_before_there_were_sources_opens(tmp_path):
    store = mixed_store(tmp_path / "new.arrow", 300)
    with pa.ipc.open_file(str(tmp_path / "new.arrow")) as reader:
        table = reader.read_all().drop_columns(["source"])
    with pa.ipc.new_file(str(tmp_path / "old.arrow"), table.schema) as writer:
        writer.write_table(table)
    old = PassageStore.open(tmp_path / "old.arrow")
    assert [passage.id for passage in old] == [passage.id for passage in store]
    assert [passage.text for passage in old] == [passage.text for passage in store]
    assert {passage.source for passage in old} == {""}
    assert len(old.numbers_below("de")) == 0
    assert old.numbers_below("").tolist() == list(range(len(old)))
    assert old.top_sources(3) == [""]
