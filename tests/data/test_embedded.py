"""The quickstart corpus of this Python installation."""

import sys
import time
from itertools import islice

import pytest

from reknit.data.documents import ReadReport
from reknit.data.embedded import MAX_DOCUMENTS, python_documentation
from reknit.data.holdout import hold_out
from reknit.data.readers import curate, normalise
from reknit.data.store import PassageStore


@pytest.fixture(scope="module")
def documents():
    before = set(sys.modules)
    start = time.perf_counter()
    found = list(python_documentation())
    assert time.perf_counter() - start < 60, "about 10 s on an idle core"
    assert not {name for name in set(sys.modules) - before if name.startswith(("sklearn", "sympy", "networkx"))}
    return found


def test_thousands_of_documents_with_unique_titles_that_their_text_does_not_repeat(documents):
    assert 3000 < len(documents) <= MAX_DOCUMENTS
    titles = [normalise(document.title) for document in documents]
    assert len(set(titles)) == len(titles)
    assert all(len(document.text.split()) >= 20 for document in documents)
    repeated = sum(title in normalise(document.text) for title, document in zip(titles, documents, strict=True))
    assert repeated < 0.02 * len(documents)
    assert not any(document.id.startswith("reknit") or ".tests." in document.id for document in documents)
    assert sum(document.id.startswith("topic:") for document in documents) > 50


def test_the_order_is_always_the_same(documents):
    assert list(islice(python_documentation(), 1500)) == documents[:1500]


def test_it_makes_a_title_probe(documents, tmp_path):
    store = PassageStore.build(curate(documents, ReadReport()), tmp_path / "store.arrow")
    held = hold_out(store, seed=0)
    assert held.kind == "title"
    assert len(held.test.queries) == 200
