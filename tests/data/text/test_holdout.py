"""The probe: its queries have one answer, and training never sees the pair."""

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
from small_corpus import spelt

from reknit.data.text.documents import Document, ReadReport
from reknit.data.text.holdout import HeldOut, hold_out
from reknit.data.text.passage_store import PassageStore
from reknit.data.text.readers import curate, normalise, read_documents
from reknit.errors import ReknitError

SHARED = Path(__file__).parents[3] / "shared" / "data"


def sentence(rng: random.Random) -> str:
    return " ".join(rng.choices([f"word{n}" for n in range(500)], k=12)).capitalize() + "."


def corpus(count: int, *, titles: bool, sentences: int = 8, repeat_title: bool = False) -> list[Document]:
    rng = random.Random(0)
    documents = []
    for number in range(count):
        title = f"Title of number {spelt(number)}" if titles else ""
        body = " ".join(sentence(rng) for _ in range(sentences))
        documents.append(Document(f"d{number}", title, f"{title}. {body}" if repeat_title else body))
    return documents


def build(documents: list[Document], folder: Path, **options) -> PassageStore:
    return PassageStore.build(documents, folder / "store.arrow", **options)


def check(store: PassageStore, held: HeldOut) -> None:
    """What must hold of every probe."""
    assert held.dev.documents == held.test.documents
    by_id = {passage.id: number for number, passage in enumerate(store)}
    answers: dict[str, set[int]] = {}
    for name, part in (("dev", held.dev), ("test", held.test)):
        assert part.queries.keys() == part.qrels.keys()
        assert set(map(len, part.qrels.values())) == {1}
        answers[name] = {by_id[document] for judged in part.qrels.values() for document in judged}
        for query_id, query in part.queries.items():
            number = by_id[next(iter(part.qrels[query_id]))]
            shown = part.documents[next(iter(part.qrels[query_id]))]
            assert normalise(query) not in normalise(shown), "the answer does not hold its query"
            assert normalise(query) in normalise(store[number].full_text), "but the passage did"
            assert held.training_text[number] == shown
    assert abs(len(answers["dev"]) - len(answers["test"])) <= 1
    documents = {name: {store[number].document for number in numbers} for name, numbers in answers.items()}
    assert held.answer_passages == answers["dev"] | answers["test"]
    assert held.answer_passages <= held.training_text.keys()
    assert len(held.answer_passages) <= 0.2 * len(store)
    if held.kind == "title" or len(held.answer_passages) < store.num_documents / 2:
        assert not documents["dev"] & documents["test"]
    queries = [normalise(query) for part in (held.dev, held.test) for query in part.queries.values()]
    assert len(set(queries)) == len(queries)


@pytest.mark.parametrize("repeat_title", [False, True])
def test_titles_become_queries_and_no_document_shows_one(tmp_path, repeat_title):
    store = build(corpus(300, titles=True, repeat_title=repeat_title), tmp_path, max_words=50)
    held = hold_out(store, seed=3)
    assert held.kind == "title"
    check(store, held)
    assert (len(held.dev.queries), len(held.test.queries)) == (30, 30)
    assert not any("itle of number" in text for text in held.test.documents.values())
    assert not any("itle of number" in text for text in held.training_text.values())


def test_other_passages_of_an_answer_are_no_distractors_and_train_without_their_title(tmp_path):
    store = build(corpus(250, titles=True), tmp_path, max_words=40)
    held = hold_out(store, seed=3)
    held_documents = {store[number].document for number in held.answer_passages}
    siblings = {n for n in range(len(store)) if store[n].document in held_documents} - held.answer_passages
    assert siblings
    assert not {store[number].id for number in siblings} & held.test.documents.keys()
    assert {number: held.training_text[number] for number in siblings} == {n: store[n].text for n in siblings}


def test_shared_and_short_titles_are_no_queries(tmp_path):
    documents = corpus(60, titles=True)
    documents += [Document(f"e{n}", "The same title", d.text) for n, d in enumerate(corpus(20, titles=False))]
    documents += [Document(f"f{n}", f"Word{n}", d.text + " end") for n, d in enumerate(corpus(20, titles=False))]
    documents += [
        Document(f"g{n}", f"Title without body {spelt(n)}", f"Title without body {spelt(n)}. Short.") for n in range(10)
    ]
    store = build(documents, tmp_path)
    held = hold_out(store, seed=0)
    check(store, held)
    assert held.kind == "title"
    assert {document[0] for part in (held.dev, held.test) for j in part.qrels.values() for document in j} == {"d"}


def test_sentences_become_queries_when_titles_are_missing_or_shared(tmp_path):
    plain = corpus(60, titles=False)
    shared = [Document(d.id, f"Topic number {n % 6}", d.text) for n, d in enumerate(plain)]
    for documents in (plain, shared):
        store = build(documents, tmp_path)
        held = hold_out(store, seed=1)
        assert held.kind == "sentence"
        check(store, held)
        assert len(held.dev.queries) + len(held.test.queries) == 12
    assert all(text.startswith("Topic number") for text in held.test.documents.values()), "titles stay in this kind"


def test_text_without_punctuation_and_code_make_probes(tmp_path):
    rng = random.Random(1)
    words = [Document(f"w{n}", "", " ".join(sentence(rng).strip(".").lower() for _ in range(3))) for n in range(30)]
    code = [
        Document(f"c{n}", "", f"def f{n}(a, b):\n    # adds {n} to each of the {n} rows\n    return a")
        for n in range(30)
    ]
    for documents in (words, code):
        store = build(documents, tmp_path)
        check(store, hold_out(store, seed=1))


def test_a_sentence_that_many_documents_share_is_no_query(tmp_path):
    licence = "All rights of this text are reserved by the author of the series."
    documents = [Document(d.id, "", f"{d.text} {licence}") for d in corpus(100, titles=False, sentences=1)]
    store = build(documents, tmp_path)
    held = hold_out(store, seed=0)
    check(store, held)
    assert licence not in {*held.dev.queries.values(), *held.test.queries.values()}


def test_the_collection_is_sampled_and_keeps_the_answers(tmp_path):
    store = build(corpus(200, titles=True), tmp_path)
    held = hold_out(store, queries=10, max_documents=50, seed=0)
    check(store, held)
    assert len(held.test.documents) == 50
    assert len(held.dev.queries) + len(held.test.queries) == 10


def test_the_same_seed_gives_the_same_probe_also_in_another_process(tmp_path):
    store = build(corpus(80, titles=True), tmp_path)
    held = hold_out(store, seed=5)
    assert hold_out(store, seed=5) == held
    assert hold_out(store, seed=6).test.queries != held.test.queries
    code = (
        "import sys; from reknit.data.text.holdout import hold_out\n"
        "from reknit.data.text.passage_store import PassageStore\n"
        "print(sorted(hold_out(PassageStore.open(sys.argv[1]), seed=5).answer_passages))"
    )
    # String hashes differ between processes; nothing may depend on them.
    environment = {**os.environ, "PYTHONHASHSEED": "77"}
    run = subprocess.run(
        [sys.executable, "-c", code, str(store.path)], capture_output=True, text=True, check=True, env=environment
    )
    assert run.stdout.strip() == str(sorted(held.answer_passages))


def test_too_small_a_corpus(tmp_path):
    store = build(corpus(3, titles=True), tmp_path)
    with pytest.raises(ReknitError, match="needs at least 20 distinct passages, found 3"):
        hold_out(store, seed=0)
    store = build([Document(str(n), "", f"short text {n}") for n in range(40)], tmp_path)
    with pytest.raises(ReknitError, match="too short or all alike"):
        hold_out(store, seed=0)


def test_twenty_documents_are_enough(tmp_path):
    store = build(corpus(20, titles=True), tmp_path)
    held = hold_out(store, seed=0)
    check(store, held)
    assert (len(held.dev.queries), len(held.test.queries)) == (2, 2)
    assert "only 2 queries" in held.test.notes[1]


@pytest.mark.parametrize(
    ("name", "kind"), [("cranfield", "title"), ("scifact", "title"), ("xquad_en", "sentence"), ("cosqa", "sentence")]
)
def test_real_collections(tmp_path, name, kind):
    folder = SHARED / "retrieval" / name
    if not folder.is_dir():
        pytest.skip("the shared data are not here")
    report = ReadReport()
    store = build(list(curate(read_documents(folder, report), report)), tmp_path)
    held = hold_out(store, seed=0)
    assert held.kind == kind
    by_id = {passage.id: number for number, passage in enumerate(store)}
    for part in (held.dev, held.test):
        assert len(part.queries) >= 20
        for query_id, query in part.queries.items():
            answer = next(iter(part.qrels[query_id]))
            shown = normalise(part.documents[answer])
            # A title may well stand somewhere in the text that it belongs to, but not before it.
            assert not shown.startswith(normalise(query))
            assert kind == "title" or normalise(query) not in shown
            assert held.training_text[by_id[answer]] == part.documents[answer]


def test_a_title_that_stands_as_a_sentence_of_the_body_is_no_query(tmp_path):
    documents = corpus(60, titles=True)
    # A breadcrumb, then the title as a heading: `crop` would offer the title and the rest as a pair.
    documents = [
        Document(d.id, f"{d.title} of the whole series", f"Home page. {d.title} of the whole series. {d.text}")
        if number % 2
        else d
        for number, d in enumerate(documents)
    ]
    held = hold_out(build(documents, tmp_path), queries=40, seed=0)
    queries = [*held.dev.queries.values(), *held.test.queries.values()]
    assert held.kind == "title"
    assert queries
    assert not [query for query in queries if "series" in query]


def test_a_sentence_that_stands_outside_the_sample_too_is_no_query(tmp_path):
    documents = corpus(200, titles=False)
    copies = [Document(f"copy{d.id}", "", f"{d.text} {sentence(random.Random(d.id))}") for d in documents[:100]]
    store = build(documents + copies, tmp_path)
    held = hold_out(store, queries=60, max_documents=60, seed=0)
    for query in [*held.dev.queries.values(), *held.test.queries.values()]:
        assert sum(normalise(query) in normalise(passage.text) for passage in store) == 1


def test_titles_that_only_numbers_tell_apart_are_no_queries(tmp_path):
    documents = [
        Document(d.id, f"Ticket #{n} of {2000 + n % 9}", d.text) for n, d in enumerate(corpus(100, titles=False))
    ]
    held = hold_out(build(documents, tmp_path), seed=0)
    assert held.kind == "sentence"


def test_titles_that_cannot_be_asked_are_replaced_by_others(tmp_path):
    documents = corpus(400, titles=True)
    # Of three in four the title stands in the text as well.
    documents = [
        d if n % 4 == 0 else Document(d.id, d.title, f"Menu. {d.title}. {d.text}") for n, d in enumerate(documents)
    ]
    held = hold_out(build(documents, tmp_path), seed=0)
    assert held.kind == "title"
    assert len(held.whole.queries) == 80


def test_where_few_titles_can_be_asked_sentences_are(tmp_path):
    documents = [
        d if n < 30 else Document(d.id, d.title, f"Menu. {d.title}. {d.text}")
        for n, d in enumerate(corpus(400, titles=True))
    ]
    store = build(documents, tmp_path)
    held = hold_out(store, seed=0)
    assert held.kind == "sentence"
    check(store, held)
    assert len(held.whole.queries) == 80


@pytest.mark.parametrize("titles", [False, True])
def test_a_few_long_documents_give_many_queries(tmp_path, titles):
    store = build(corpus(12, titles=titles, sentences=400), tmp_path, max_words=60)
    held = hold_out(store, seed=0)
    check(store, held)
    assert len(held.whole.queries) == int(0.2 * len(store)) > 100
    assert len({store[number].document for number in held.answer_passages}) == 12


def test_a_sentence_that_is_the_title_too_is_no_query(tmp_path):
    plain = corpus(60, titles=False, sentences=2)
    documents = [Document(d.id, d.text.split(".")[0], d.text) for d in plain]
    documents += [Document(f"{d.id}x", d.title, f"{d.title}. Another {d.text}") for d in documents]
    store = build(documents, tmp_path)
    held = hold_out(store, seed=0)
    assert held.kind == "sentence"
    check(store, held)


def test_repeated_sentences_do_not_make_the_probe_smaller(tmp_path):
    licence = "All rights of this text are reserved by the author of the series."
    documents = [Document(d.id, "", f"{d.text} {licence}") for d in corpus(400, titles=False, sentences=2)]
    held = hold_out(build(documents, tmp_path), seed=0)
    assert len(held.whole.queries) == 80


def test_overlapping_chunks_without_punctuation_hide_no_query_in_each_other(tmp_path):
    words = [f"w{n}" for n in range(6000)]
    chunks = [Document(f"c{n}", "", " ".join(words[40 * n : 40 * n + 80])) for n in range(148)]
    held = hold_out(build(chunks, tmp_path), seed=0)
    for query in held.whole.queries.values():
        assert sum(query in chunk.text for chunk in chunks) == 1
