"""BEIR folders, clean and broken."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from evaluation_samples import REAL, write_beir
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reknit.data.retrieval_set import LEFT_OUT
from reknit.errors import ReknitError
from reknit.evaluation.beir import load_beir
from reknit.evaluation.metrics import per_query

CORPUS = [
    {"_id": "d1", "title": "Wings", "text": "lift and drag"},
    {"_id": "d2", "title": "", "text": "heat"},
    {"_id": "d3", "text": ""},
]
QUERIES = [{"_id": "q1", "text": "lift"}, {"_id": "q2", "text": "heat"}, {"_id": "q3", "text": "other"}]
HEADER = "query-id\tcorpus-id\tscore\n"


def folder(tmp_path: Path, qrels: str | None = HEADER + "q1\td1\t1\nq2\td2\t2\n", **changes) -> Path:
    files = {"corpus": CORPUS, "queries": QUERIES, "qrels": qrels} | changes
    return write_beir(tmp_path / "collection", **files)


def test_reads_documents_queries_and_grades(tmp_path):
    found = load_beir(folder(tmp_path))
    assert found.name == "collection"
    assert found.documents == {"d1": "Wings lift and drag", "d2": "heat", "d3": ""}
    assert found.queries == {"q1": "lift", "q2": "heat"}
    assert found.qrels == {"q1": {"d1": 1}, "q2": {"d2": 2}}
    assert found.notes == ()


def test_judgements_may_be_trec_or_have_no_header(tmp_path):
    expected = {"q1": {"d1": 1}, "q2": {"d2": 2}}
    for number, qrels in enumerate(
        [
            "q1\td1\t1\nq2\td2\t2\n",
            "q1 0 d1 1\nq2 0 d2 2\n",
            HEADER + "q1 d1 1.0\n\n  \nq2\td2\t2",
            "q1\t0\td1\t1\nq2 d2 2",
        ]
    ):
        assert load_beir(folder(tmp_path / str(number), qrels)).qrels == expected


def test_byte_order_mark_carriage_returns_and_blank_lines(tmp_path):
    lines = "\r\n\r\n".join(json.dumps(record) for record in CORPUS)
    queries = "\ufeff" + "\r\n".join(json.dumps(record) for record in QUERIES)
    qrels = "\ufeff" + (HEADER + "q1\td1\t1\n\n").replace("\n", "\r\n")
    found = load_beir(folder(tmp_path, qrels, corpus="\ufeff" + lines + "\r\n", queries=queries))
    assert found.documents["d1"] == "Wings lift and drag"
    assert found.qrels == {"q1": {"d1": 1}}


def test_whole_number_ids_and_id_without_underscore(tmp_path):
    found = load_beir(folder(tmp_path, "q1\t7\t1\n", corpus=[{"id": 7, "text": "seven", "metadata": {"a": 1}}]))
    assert found.documents == {"7": "seven"}


def test_negative_grades_are_not_relevant_and_are_counted(tmp_path):
    found = load_beir(folder(tmp_path, HEADER + "q1\td1\t1\nq1\td2\t-1\nq2\td2\t-1\n"))
    assert found.qrels == {"q1": {"d1": 1, "d2": 0}}
    assert "2 judgements with a negative grade count as not relevant" in found.notes
    assert "1 queries without a relevant document dropped" in found.notes


def test_unknown_ids_are_dropped_and_counted(tmp_path):
    found = load_beir(folder(tmp_path, HEADER + "q1\td1\t1\nq9\td1\t1\nq1\td9\t1\nq2\td9\t1\n"))
    assert found.qrels == {"q1": {"d1": 1}}
    assert set(found.notes) == {"1 judgements of unknown queries dropped", "2 judgements of unknown documents dropped"}


def test_queries_without_text_are_dropped_with_a_note(tmp_path):
    queries = [{"_id": "q1", "text": "  "}, {"_id": "q2", "text": "heat"}]
    found = load_beir(folder(tmp_path, queries=queries))
    assert list(found.queries) == ["q2"]
    assert found.notes == ("1 queries without text dropped",)


def test_repeated_ids_keep_the_first_and_repeated_judgements_the_highest(tmp_path):
    corpus = [*CORPUS, {"_id": "d1", "text": "again"}]
    found = load_beir(folder(tmp_path, HEADER + "q1\td1\t2\nq1\td1\t1\n", corpus=corpus))
    assert found.documents["d1"] == "Wings lift and drag"
    assert found.qrels == {"q1": {"d1": 2}}
    assert found.notes == ("1 lines of corpus.jsonl repeat an id: the first of each is used",)


def test_half_a_surrogate_pair_becomes_text_that_tokenizers_accept(tmp_path):
    found = load_beir(folder(tmp_path, corpus='{"_id": "d1", "text": "a\\ud800b"}\n'))
    assert found.documents["d1"] == "a?b"


def test_default_split_falls_back_to_dev_then_train_with_a_note(tmp_path):
    only_train = folder(tmp_path, "q1\td1\t1\n", split="train")
    assert load_beir(only_train).notes == ("no test judgements: those of train are used",)
    (only_train / "qrels" / "dev.tsv").write_text("q2\td2\t1\n")
    assert list(load_beir(only_train).queries) == ["q2"]
    assert list(load_beir(only_train, "train").queries) == ["q1"]
    (only_train / "qrels" / "dev.tsv").unlink()
    with pytest.raises(ReknitError, match="no judgements for dev"):
        load_beir(only_train, "dev")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"corpus": '{"_id": "d1", "text": "x"}\n{"_id": "d2", \n'}, r"corpus\.jsonl:2: not JSON"),
        ({"corpus": "[1]\n"}, r"corpus\.jsonl:1: not a JSON object"),
        ({"corpus": "[" * 100_000 + "\n"}, r"corpus\.jsonl:1: not JSON"),
        ({"corpus": '{"text": "x"}\n'}, r'corpus\.jsonl:1: no "_id"'),
        ({"corpus": '{"_id": true, "text": "x"}\n'}, r'corpus\.jsonl:1: no "_id"'),
        ({"corpus": '{"_id": "d1", "body": "x"}\n'}, r"corpus\.jsonl:1: no \"text\": the fields are \['_id', 'body'\]"),
        ({"corpus": '{"_id": "d1", "text": 3}\n'}, r'corpus\.jsonl:1: "text" is not a text'),
        ({"corpus": "\n"}, "holds no documents"),
        ({"qrels": None}, "no judgements for test or dev or train"),
        ({"qrels": HEADER}, "holds no judgements"),
        ({"qrels": HEADER + "q1\td1\n"}, r"test\.tsv:2: 2 columns"),
        ({"qrels": HEADER + "q1\td1\tyes\n"}, r"test\.tsv:2: the score 'yes' is not a number"),
        ({"qrels": HEADER + "q1\td1\tnan\n"}, r"test\.tsv:2: the score 'nan' is not a number"),
        ({"qrels": HEADER + "q1\td1\t1e300\n"}, r"test\.tsv:2: the score '1e300' is not a number"),
        ({"qrels": "q8\td8\t1\n"}, "none of 1 judgements names a known query and document"),
        ({"qrels": "q1\td1\t0\n"}, "no query has text and a relevant document"),
    ],
)
def test_every_error_is_one_line_that_says_where(tmp_path, changes, message):
    with pytest.raises(ReknitError, match=message) as caught:
        load_beir(folder(tmp_path, **changes))
    assert "\n" not in str(caught.value)


def test_missing_folders_and_files_and_wrong_encodings(tmp_path):
    with pytest.raises(ReknitError, match="is not a folder"):
        load_beir(tmp_path / "nowhere")
    broken = folder(tmp_path)
    (broken / "queries.jsonl").write_bytes(b'{"_id": "q1", "text": "\xff\xfe"}\n')
    with pytest.raises(ReknitError, match=r"queries\.jsonl is not UTF-8"):
        load_beir(broken)
    (broken / "queries.jsonl").unlink()
    with pytest.raises(ReknitError, match=r"queries\.jsonl is missing"):
        load_beir(broken)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    corpus=st.text(alphabet='{}[]":, \n\r\tab1_idtext\\u', max_size=60),
    qrels=st.text(alphabet="q1d\t \n-.e0", max_size=40),
)
def test_any_content_is_read_or_refused_in_one_line(tmp_path, corpus, qrels):
    message = ""
    try:
        found = load_beir(folder(tmp_path, qrels, corpus=corpus + '\n{"_id": "d1", "text": "x"}\n'))
        assert all(max(grades.values()) > 0 for grades in found.qrels.values())
    except ReknitError as error:
        message = str(error)
    assert "\n" not in message


@pytest.mark.skipif(not REAL.is_dir(), reason="real collections are not here")
def test_real_collections_have_the_published_sizes():
    for name, documents, queries in [("scifact", 5183, 300), ("cranfield", 1400, 225), ("npl", 11429, 93)]:
        found = load_beir(REAL / name)
        assert (len(found.documents), len(found.queries)) == (documents, queries)


def test_a_query_that_is_a_document_does_not_find_itself(tmp_path):
    corpus = [{"_id": f"{n}", "title": "", "text": text} for n, text in enumerate(("lift", "drag", "lift too", "heat"))]
    queries = [{"_id": "0", "text": "lift"}, {"_id": "1", "text": "heat"}, {"_id": "3", "text": "heat"}]
    found = load_beir(folder(tmp_path, HEADER + "0\t2\t1\n1\t3\t1\n3\t3\t1\n", corpus=corpus, queries=queries))
    # Document 1 only happens to be called like query 1, and document 3 is judged.
    assert found.qrels == {"0": {"2": 1, "0": LEFT_OUT}, "1": {"3": 1}, "3": {"3": 1}}
    assert found.notes == ("1 queries are documents themselves, which are left out of their rankings",)
    run = {"0": {"0": 3.0, "2": 2.0, "1": 1.0}, "1": {"1": 2.0, "3": 1.0}, "3": {"3": 1.0}}
    assert per_query(run, found.qrels)["RR@10"] == {"0": 1.0, "1": 0.5, "3": 1.0}
    assert per_query({"0": {"0": 1.0}}, found.qrels)["nDCG@10"] == {"0": 0.0, "1": 0.0, "3": 0.0}
