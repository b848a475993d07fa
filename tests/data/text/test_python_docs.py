"""The quickstart corpus of this Python installation."""

import sys
import time
from itertools import islice

import pytest

from reknit.data.text.documents import ReadReport
from reknit.data.text.holdout import hold_out
from reknit.data.text.passage_store import PassageStore
from reknit.data.text.python_docs import CORPUS_NAME, MAX_DOCUMENTS, python_documentation
from reknit.data.text.readers import curate, normalise, open_corpus, read_documents


@pytest.fixture(scope="module")
def documents():
    """The first two thousand; the whole corpus takes about 10 s."""
    before = set(sys.modules)
    found = list(islice(python_documentation(), 2000))
    assert not {name for name in set(sys.modules) - before if name.startswith(("anyio", "PIL", "bm25s", "click"))}
    return found


def test_thousands_of_documents_with_unique_titles_that_their_text_does_not_repeat(documents):
    assert len(documents) == 2000
    titles = [normalise(document.title) for document in documents]
    assert len(set(titles)) == len(titles)
    assert all(len(document.text.split()) >= 20 for document in documents)
    assert not any(title in normalise(document.text) for title, document in zip(titles, documents, strict=True))
    assert not any(document.id.startswith("reknit") or ".tests." in document.id for document in documents)
    assert sum(document.id.startswith("topic:") for document in documents) > 30


@pytest.mark.slow
def test_the_whole_corpus_comes_quickly():
    start = time.process_time()
    count = sum(1 for _ in python_documentation())
    assert 4000 < count <= MAX_DOCUMENTS
    assert time.process_time() - start < 60, "about 10 s"


def test_the_order_is_always_the_same(documents):
    assert list(islice(python_documentation(), 500)) == documents[:500]


def test_a_corpus_is_opened_by_its_name_and_counted(documents, tmp_path):
    report = ReadReport()
    assert list(islice(open_corpus(CORPUS_NAME, report), 5)) == documents[:5]
    assert report.read == 5
    for number in range(3):
        (tmp_path / f"{number}.txt").write_text(f"Text {number}.")
    by_name, by_path = ReadReport(), ReadReport()
    assert list(open_corpus(str(tmp_path), by_name)) == list(read_documents(tmp_path, by_path))
    assert by_name == by_path
    assert by_name.read == 3


def test_it_makes_a_title_probe(documents, tmp_path):
    store = PassageStore.build(curate(documents, ReadReport()), tmp_path / "store.arrow")
    held = hold_out(store, seed=0)
    assert held.kind == "title"
    assert len(held.test.queries) == 200
