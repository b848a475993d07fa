"""The search index: right results, any text, and folders that are missing, broken or half-written."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from reknit.errors import ReknitError
from reknit.retrieval.bm25 import BM25
from reknit.retrieval.fusion import fuse, rooted
from reknit.retrieval.index import Hit, Index, build_index
from reknit.retrieval.search import search

DIM = 8
WORDS = [f"{first}{second}" for first in "bdfgklmnprst" for second in ("ane", "olo", "iru", "emy", "usk")]


def made_passages(count: int, seed: int = 0) -> list[tuple[str, str, str]]:
    rng = np.random.default_rng(seed)
    sizes = rng.integers(5, 30, count)
    return [(f"p{i:05}", WORDS[i % 60] if i % 3 else "", " ".join(rng.choice(WORDS, sizes[i]))) for i in range(count)]


def encode(texts: list[str]) -> np.ndarray:
    """A vector of length 1 that is a pure function of the text."""
    seeds = [[ord(letter) for letter in text[:40]] for text in texts]
    rows = np.array([np.random.default_rng(seed).normal(size=DIM) for seed in seeds])
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def content(passage: tuple[str, str, str]) -> str:
    return f"{passage[1]} {passage[2]}".strip()


PASSAGES = made_passages(300)


@pytest.fixture(scope="module")
def index(tmp_path_factory) -> Index:
    folder = tmp_path_factory.mktemp("search") / "index"
    build_index(folder, PASSAGES, encode, dim=DIM, batch=64, details={"model": "../model"})
    return Index.open(folder)


def test_an_opened_index_knows_itself(index):
    assert (len(index), index.dim, index.details) == (300, DIM, {"model": "../model"})


def test_dense_search_equals_sorting_every_dot_product(index):
    table = encode([content(passage) for passage in PASSAGES])
    for seed in range(5):
        query = np.random.default_rng(seed).normal(size=DIM).astype(np.float32)
        scores = table @ query
        best = np.argsort(-scores, kind="stable")[:10]
        hits = index.search(query, None, 10)
        assert [hit.id for hit in hits] == [PASSAGES[place][0] for place in best]
        assert [hit.score for hit in hits] == pytest.approx(scores[best].tolist(), abs=1e-5)


def test_hits_give_title_and_text_back_as_they_were(index):
    by_id = {passage[0]: passage for passage in PASSAGES}
    hits = index.search(None, "bane tusk", 20, mode="text")
    assert len(hits) == 20
    for hit in hits:
        assert (hit.id, hit.title, hit.text) == by_id[hit.id]


def test_text_search_finds_what_bm25_finds(index):
    reference = BM25({passage[0]: content(passage) for passage in PASSAGES})
    for query in ("bane", "kolo kolo tusk", "the fane and the semy"):
        expected = reference.search({"q": query}, 300)["q"]
        hits = index.search(None, query, 300, mode="text")
        assert {hit.id for hit in hits} == set(expected)
        ours, theirs = np.array([hit.score for hit in hits]), np.array([expected[hit.id] for hit in hits])
        assert np.corrcoef(ours, theirs)[0, 1] > 0.99


@pytest.mark.parametrize(
    ("texts", "query", "answers"),
    [
        (["Die Häuser der Städte stehen am Fluss", "Ein Fluss fließt ins Meer, nicht in die Stadt", "Nichts"] * 4,
         "Haus in einer Stadt", {0, 1}),
        (["数据库的句子在这里", "这是另一个句子", "nothing"], "数据库", {0}),
        (["naïve café", "naive cafe", "x" * 90], "Café", {0, 1}),
        (["x" * 90, "C++ and C#", "y"], "x" * 90, {0}),
    ],
)  # fmt: skip
def test_words_of_any_language_are_those_of_bm25(tmp_path, texts, query, answers):
    passages = [(f"{number:02}", "", text) for number, text in enumerate(texts)]
    build_index(tmp_path / "index", passages, encode, dim=DIM)
    hits = Index.open(tmp_path / "index").search(None, query, 12, mode="text")
    assert {int(hit.id) % 3 for hit in hits} == answers
    reference = BM25({identifier: text for identifier, _, text in passages}).search({"q": query})["q"]
    assert {hit.id for hit in hits} == set(reference)


def test_the_language_may_be_said_for_passages_that_begin_in_another(tmp_path):
    """German ones first: a folder "de" is read before "en"."""
    german, english = "Die Häuser der Städte stehen am Fluss", "The houses of the town that are by the river"
    passages = [(f"{number:03}", "", german if number < 5 else english) for number in range(20)]
    build_index(tmp_path / "first", passages, encode, dim=DIM, batch=5)
    assert Index.open(tmp_path / "first").language == "german"
    build_index(tmp_path / "said", passages, encode, dim=DIM, batch=5, language="english")
    index = Index.open(tmp_path / "said")
    assert index.language == "english"
    assert [hit.text for hit in index.search(None, "the house by the town", 20, mode="text")] == [english] * 15


def test_identifiers_are_found_by_their_parts_and_given_back_as_they_were(tmp_path):
    passages = [("a", "", "def writeBoolean(self)"), ("b", "HTTPHeader", "def read_it()"), ("c", "", "nothing of it")]
    build_index(tmp_path / "index", passages, encode, dim=DIM)
    index = Index.open(tmp_path / "index")
    reference = BM25({passage[0]: content(passage) for passage in passages})
    for query, answers in (
        ("a boolean", {"a"}), ("readHTTP", {"b"}), ("write_boolean", {"a"}), ("WriteHeader", {"a", "b"})
    ):  # fmt: skip
        hits = index.search(None, query, mode="text")
        assert {hit.id for hit in hits} == answers == set(reference.search({"q": query})["q"])
        assert all((hit.id, hit.title, hit.text) in passages for hit in hits)


def test_hybrid_is_the_fusion_that_evaluation_measures(index):
    """Of the 100 best of each side, with the scores that either would give to what only the other found."""
    query, text = np.random.default_rng(1).normal(size=DIM).astype(np.float32), "bane tusk kolo"
    both = [{hit.id: hit.score for hit in index.search(query, text, 300, mode=mode)} for mode in ("text", "dense")]
    found = {document for side in both for document in list(side)[:100]}
    assert found - both[0].keys(), "some share no word"
    assert len(both[0]) > 100, "some are found by words too, only deeper down"
    words, vectors = ({"q": {document: side.get(document, 0.0) for document in found}} for side in both)
    expected = list(fuse([{"q": rooted(words["q"])}, vectors], [0.7, 0.3])["q"].items())
    hits = index.search(query, text, 20, mode="hybrid", hybrid_weight=0.3)
    assert [hit.id for hit in hits] == [document for document, _ in expected[:20]]
    assert [hit.score for hit in hits] == pytest.approx([score for _, score in expected[:20]], abs=1e-6)


def test_hybrid_search_takes_any_id(tmp_path):
    found = []
    for number, name in enumerate(("p{:03}", 'it\'s "{:03}" -- 字;')):
        passages = [(name.format(place), title, text) for place, (_, title, text) in enumerate(PASSAGES)]
        build_index(tmp_path / str(number), passages, encode, dim=DIM)
        hits = Index.open(tmp_path / str(number)).search(np.ones(DIM), "bane tusk", 300, "hybrid")
        found.append([(hit.id, hit.score) for hit in hits])
    assert [(name.format(int(identifier[1:])), score) for identifier, score in found[0]] == found[1]


def test_hybrid_weight_moves_between_words_and_vectors(index):
    query, text = np.random.default_rng(1).normal(size=DIM).astype(np.float32), "bane tusk kolo"

    def ids(**options):
        return [hit.id for hit in index.search(query, text, 10, **options)]

    assert ids(mode="hybrid", hybrid_weight=1.0) == ids(mode="dense")
    assert ids(mode="hybrid", hybrid_weight=0.0) == ids(mode="text")
    assert ids(mode="hybrid", hybrid_weight=0.5) not in (ids(mode="dense"), ids(mode="text"))


def test_equal_scores_are_ordered_by_id_even_at_the_cut(tmp_path):
    order = np.random.default_rng(0).permutation(50)
    passages = [(f"p{number:02}", "", "same words everywhere") for number in order]
    build_index(tmp_path / "index", passages, encode, dim=DIM, batch=7)
    index = Index.open(tmp_path / "index")
    query = encode(["anything"])[0]
    expected = [f"p{number:02}" for number in range(4)]
    for mode in ("dense", "text", "hybrid"):
        assert [hit.id for hit in index.search(query, "words", 4, mode)] == expected


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(max_size=40) | st.text(alphabet='"+-:()[]{}^~*?\\/&|! ANDORNOTbane\x00\n', max_size=30))
@example("")
@example('"bane')
@example("bane AND (tusk OR")
@example("title:bane^2~ +tusk -kolo *")
@example("\ud800")
@example("the of and")
def test_no_query_text_is_an_error(index, text):
    for mode in ("text", "hybrid"):
        hits = index.search(np.ones(DIM), text, 5, mode)
        assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
        assert mode == "text" or len(hits) == 5


def test_a_long_query_is_no_error(index):
    assert index.search(None, "bane " * 20_000, 3, mode="text")


def test_text_search_works_in_scripts_without_spaces_and_for_names_with_signs(tmp_path):
    passages = [
        ("zh", "", "一个中文句子关于数据库"),
        ("c", "", "the C++ language"),
        ("de", "", "alte Häuser"),
        ("id", "", "a foo_bar"),
    ]
    build_index(tmp_path / "index", passages, encode, dim=DIM)
    index = Index.open(tmp_path / "index")
    for query, expected in [("数据库", "zh"), ("C++", "c"), ("HAUSER", "de"), ("foo_bar", "id"), ("bar", "id")]:
        assert [hit.id for hit in index.search(None, query, mode="text")] == [expected]


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.text(max_size=12), st.text(max_size=12), st.text(max_size=30)), min_size=1, max_size=8))
@example([("../../etc 'x' \"y\"\n\x00; DROP", "", "")])
@example([("a", "\ud800 title", "text \udfff")])
def test_any_ids_titles_and_texts_come_back(tmp_path, passages):
    build_index(tmp_path / "index", passages, encode, dim=DIM)
    hits = Index.open(tmp_path / "index").search(np.ones(DIM), None, 10)

    def clean(text: str) -> str:
        return text.encode("utf-8", "replace").decode()

    expected = [(identifier, clean(title).strip(), clean(text)) for identifier, title, text in passages]
    assert sorted((hit.id, hit.title, hit.text) for hit in hits) == sorted(expected)


def test_large_indexes_search_partitions_and_still_find_the_neighbours(tmp_path):
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(40, 16))
    vectors = (centres[rng.integers(0, 40, 9000)] + 0.5 * rng.normal(size=(9000, 16))).astype(np.float32)
    passages = [(f"p{number:05}", "", f"text {number}") for number in range(9000)]
    build_index(
        tmp_path / "index",
        passages,
        lambda texts: vectors[[int(text.split()[1]) for text in texts]],
        dim=16,
        exact_rows=5000,
    )
    description = json.loads((tmp_path / "index" / "index.json").read_text())
    assert description["partitions"] == 95
    index = Index.open(tmp_path / "index")
    found = 0
    for number in range(0, 9000, 450):
        query = vectors[number] + 0.1 * rng.normal(size=16).astype(np.float32)
        exact = {f"p{place:05}" for place in np.argsort(-(vectors @ query))[:10]}
        found += len(exact & {hit.id for hit in index.search(query, None, 10)})
    assert found / 200 >= 0.95


def test_building_streams_in_batches_and_reports_progress(tmp_path):
    asked: list[int] = []
    calls: list[tuple[int, int]] = []

    def counted(texts):
        asked.append(len(texts))
        return encode(texts)

    pulled = 0

    def stream():
        nonlocal pulled
        for passage in PASSAGES:
            assert pulled < sum(asked) + 64  # never more than one batch ahead of the encoder
            pulled += 1
            yield passage

    build_index(tmp_path / "a", stream(), counted, dim=DIM, batch=64, on_progress=lambda *done: calls.append(done))
    assert asked == [64, 64, 64, 64, 44]
    assert calls == [(64, 0), (128, 0), (192, 0), (256, 0), (300, 0)]
    calls.clear()
    build_index(tmp_path / "b", PASSAGES, encode, dim=DIM, on_progress=lambda *done: calls.append(done))
    assert calls == [(300, 300)]


def test_a_build_replaces_an_older_index_only_when_it_is_whole(tmp_path):
    folder = tmp_path / "index"
    build_index(folder, PASSAGES[:5], encode, dim=DIM)

    def interrupted():
        yield from PASSAGES[:100]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_index(folder, interrupted(), encode, dim=DIM, batch=10)
    assert os.listdir(tmp_path) == ["index"]
    assert len(Index.open(folder)) == 5
    build_index(folder, PASSAGES[:7], encode, dim=DIM)
    assert os.listdir(tmp_path) == ["index"]
    assert len(Index.open(folder)) == 7


def test_a_foreign_folder_is_never_overwritten(tmp_path):
    (tmp_path / "thesis.txt").write_text("precious")
    with pytest.raises(ReknitError, match="is not an index"):
        build_index(tmp_path, PASSAGES, encode, dim=DIM)
    assert (tmp_path / "thesis.txt").read_text() == "precious"


@pytest.mark.parametrize(
    ("passages", "model", "message"),
    [
        ([], encode, "no passages"),
        (PASSAGES, lambda texts: np.ones((len(texts), 3)), r"vectors of shape \[300, 3\]"),
        (PASSAGES, lambda texts: np.ones((1, DIM)), "vectors of shape"),
        (PASSAGES, lambda texts: np.full((len(texts), DIM), np.nan), "NaN or infinity for passage 0"),
        ([("\ud800", "", "x")], encode, "not valid Unicode"),
    ],
)
def test_bad_builds_leave_nothing_behind(tmp_path, passages, model, message):
    with pytest.raises(ReknitError, match=message):
        build_index(tmp_path / "index", passages, model, dim=DIM)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((None, "words", 3, "dense"), "needs a query vector"),
        ((np.ones(DIM), None, 3, "text"), "needs a query text"),
        ((np.ones(DIM), None, 3, "hybrid"), "needs a query text"),
        ((None, "words", 3, "hybrid"), "needs a query vector"),
        ((np.ones(DIM + 1), None, 3, "dense"), "9 dimensions"),
        ((np.full(DIM, np.inf), None, 3, "dense"), "NaN or infinity"),
        ((np.ones(DIM), None, 0, "dense"), "at least 1"),
        ((np.ones(DIM), None, 3, "magic"), "no search mode 'magic'"),
    ],
)
def test_searches_that_cannot_be_answered_are_refused(index, arguments, message):
    with pytest.raises(ReknitError, match=message):
        index.search(*arguments)
    with pytest.raises(ReknitError, match="choose 0"):
        index.search(np.ones(DIM), "x", mode="hybrid", hybrid_weight=1.5)


def test_more_hits_than_passages_gives_all_of_them(index):
    assert len(index.search(np.ones(DIM), None, 1000)) == 300
    assert all(isinstance(hit, Hit) for hit in index.search(np.zeros(DIM), "x", 10, mode="hybrid"))


def damage_data(folder: Path) -> None:
    for file in folder.rglob("data/*"):
        file.write_bytes(b"garbage")


def drop_manifests(folder: Path) -> None:
    shutil.rmtree(folder / "passages.lance" / "_versions")


def search_in_both_ways(folder: Path) -> None:
    index = Index.open(folder)
    index.search(np.ones(DIM), "bane", 3)
    search(index, None, "bane", top=3, mode="text")


def says(**changed: Any) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        description = json.loads((folder / "index.json").read_text()) | changed
        (folder / "index.json").write_text(json.dumps(description))

    return damage


@pytest.mark.parametrize(
    "damage",
    [
        shutil.rmtree,
        lambda folder: (folder / "index.json").unlink(),
        lambda folder: (folder / "index.json").write_text("{"),
        lambda folder: (folder / "index.json").write_text("[]"),
        lambda folder: (folder / "index.json").write_text('{"format": 1}'),
        lambda folder: (folder / "index.json").write_text(
            '{"format": 9, "rows": 1, "dim": 2, "partitions": 0, "details": {}}'
        ),
        lambda folder: shutil.rmtree(folder / "passages.lance"),
        lambda folder: shutil.rmtree(folder / "passages.lance" / "data"),
        drop_manifests,
        damage_data,
        says(rows=301),
        says(rows=float("inf")),
        says(language="klingon"),
        says(language=None),
        says(language=["german"]),
        says(format="3"),
        says(details={"hybrid_weight": "much"}),
    ],
)
def test_missing_and_damaged_indexes_are_one_clear_line(index, tmp_path, damage):
    folder = tmp_path / "copy"
    shutil.copytree(index.folder, folder)
    damage(folder)
    with pytest.raises(ReknitError) as caught:
        search_in_both_ways(folder)
    assert "\n" not in str(caught.value)
    assert re.search("build", str(caught.value))


def test_a_build_that_is_killed_leaves_no_index(tmp_path):
    program = f"""
import os, signal, numpy as np
from reknit.retrieval.index import build_index
def passages():
    for number in range(20000):
        if number == 9000: os.kill(os.getpid(), signal.SIGKILL)
        yield str(number), "", "text"
def encode(texts): return np.ones((len(texts), 4), np.float32)
build_index({str(tmp_path / "index")!r}, passages(), encode, dim=4, batch=500)
"""
    assert subprocess.run([sys.executable, "-c", program], timeout=120).returncode == -signal.SIGKILL
    assert os.listdir(tmp_path) == ["index.partial"]
    with pytest.raises(ReknitError, match="only an unfinished build"):
        Index.open(tmp_path / "index")
    build_index(tmp_path / "index", PASSAGES[:5], encode, dim=DIM)
    assert os.listdir(tmp_path) == ["index"]
    assert len(Index.open(tmp_path / "index")) == 5
