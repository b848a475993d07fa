"""Readers against files as they are met in the wild, broken ones included."""

import gzip
import json
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reknit.data.text.documents import Document, ReadReport
from reknit.data.text.passage_store import PassageStore
from reknit.data.text.readers import read_documents
from reknit.errors import ReknitError


def read(path: Path, **options) -> tuple[list[Document], ReadReport]:
    report = ReadReport()
    return list(read_documents(path, report, **options)), report


def write_lines(path: Path, records: list) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return path


def test_json_lines_with_every_name_of_the_fields(tmp_path):
    path = write_lines(
        tmp_path / "c.jsonl",
        [
            {"_id": "a", "title": "T", "text": "one"},
            {"id": 7, "contents": "two"},
            {"body": "three", "title": None},
            {"id": "d", "text": "dolma", "source": "web", "metadata": {"x": [1]}},
        ],
    )
    documents, report = read(path)
    assert documents == [
        Document("a", "T", "one", "c.jsonl"),
        Document("7", "", "two", "c.jsonl"),
        Document("c.jsonl:3", "", "three", "c.jsonl"),
        Document("d", "", "dolma", "c.jsonl"),
    ]
    assert report.read == 4
    assert report.unreadable == 0


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
def test_compressed_json_lines_of_several_frames(tmp_path, suffix):
    pack = gzip.compress if suffix == ".gz" else zstandard.ZstdCompressor().compress
    path = tmp_path / f"c.jsonl{suffix}"
    path.write_bytes(pack(b'{"text": "one"}\n{"text": "t') + pack(b'wo"}\n'))
    assert [document.text for document in read(path)[0]] == ["one", "two"]


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
def test_a_damaged_compressed_file_keeps_what_came_before(tmp_path, suffix):
    lines = b"".join(b'{"text": "%d %s"}\n' % (number, os.urandom(40).hex().encode()) for number in range(50_000))
    packed = gzip.compress(lines) if suffix == ".gz" else zstandard.ZstdCompressor().compress(lines)
    path = tmp_path / f"c.jsonl{suffix}"
    path.write_bytes(packed[: len(packed) // 2])
    documents, report = read(path)
    # The zstd reader cannot tell a cut file from a whole one at a block border, but the last record shows it.
    assert 0 < len(documents) < 50_000
    assert report.unreadable == 1


def test_broken_json_is_skipped_and_counted_with_its_line(tmp_path):
    path = tmp_path / "c.jsonl"
    path.write_text('{"text": "one"}\n{"text": "tw\n\n{"text": "three"}\n', encoding="utf-8")
    documents, report = read(path)
    assert [document.text for document in documents] == ["one", "three"]
    assert report.unreadable == 1
    assert report.problems[0].startswith("c.jsonl:2: broken JSON")


def test_too_many_broken_lines_stop_the_read_and_name_the_first(tmp_path):
    path = tmp_path / "c.jsonl"
    path.write_text('{"text": "one"}\n' + "{broken\n" * 6, encoding="utf-8")
    assert read(path, max_bad=6)[1].unreadable == 6
    with pytest.raises(ReknitError, match=r"more than 5 unreadable.*c\.jsonl:2: .*c\.jsonl:3: "):
        read(path, max_bad=5)


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ({"text": 5}, "the text is a int, not a string"),
        ({"text": ["a"]}, "the text is a list"),
        ({"title": "only"}, "no text"),
        ({"text": None}, "no text"),
        (["a"], "a list, not an object"),
        ("a", "a str, not an object"),
    ],
)
def test_records_without_a_text_of_type_string_are_unreadable(tmp_path, record, reason):
    documents, report = read(write_lines(tmp_path / "c.jsonl", [{"text": "good"}, record]))
    assert len(documents) == 1
    assert report.problems[0].startswith(f"c.jsonl:2: {reason}")


def test_a_title_without_its_text_is_a_document(tmp_path):
    """Articles without their abstracts, as many collections have them."""
    (document,), report = read(write_lines(tmp_path / "c.jsonl", [{"title": "a title", "text": None, "_id": 7}]))
    assert (document.id, document.title, document.text, report.problems) == ("7", "a title", "", [])


def test_deeply_nested_json_is_one_unreadable_line(tmp_path):
    path = tmp_path / "c.jsonl"
    path.write_text('{"text": "good"}\n' + "[" * 200_000 + "\n", encoding="utf-8")
    documents, report = read(path)
    assert (len(documents), report.unreadable) == (1, 1)


@pytest.mark.parametrize("content", ['[\n {"text": "one"},\n {"text": "two"}\n]', '[{"text": "one"}, {"text": "two"}]'])
def test_a_json_array(tmp_path, content):
    path = tmp_path / "c.json"
    path.write_text(content, encoding="utf-8")
    assert [document.text for document in read(path)[0]] == ["one", "two"]


def test_a_json_object_over_many_lines_and_json_lines_named_json(tmp_path):
    (tmp_path / "a.json").write_text(json.dumps({"text": "pretty"}, indent=1), encoding="utf-8")
    write_lines(tmp_path / "b.json", [{"text": "one"}, {"text": "two"}])
    assert [document.text for document in read(tmp_path)[0]] == ["pretty", "one", "two"]


def test_wrong_encoding_is_counted_with_file_and_line(tmp_path):
    (tmp_path / "a.jsonl").write_bytes(b'{"text": "one"}\n{"text": "caf\xe9"}\n')
    (tmp_path / "b.txt").write_bytes("naïve café".encode("latin-1"))
    documents, report = read(tmp_path)
    assert [document.text for document in documents] == ["one"]
    assert report.problems == ["a.jsonl:2: not UTF-8", "b.txt: not UTF-8 (byte 2)"]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("name", ["c.jsonl", "c.txt", "c.csv"])
def test_byte_order_marks_are_understood(tmp_path, encoding, name):
    content = {"c.jsonl": '{"text": "café ☕"}\n', "c.txt": "café ☕", "c.csv": "text\ncafé ☕\n"}[name]
    (tmp_path / name).write_bytes(content.encode(encoding))
    documents, report = read(tmp_path / name)
    assert [document.text for document in documents] == ["café ☕"]
    assert report.unreadable == 0


def test_a_utf16_file_cut_in_the_middle_is_unreadable_not_fatal(tmp_path):
    (tmp_path / "a.jsonl").write_bytes('{"text": "one"}\n'.encode("utf-16")[:-1])
    write_lines(tmp_path / "b.jsonl", [{"text": "two"}])
    documents, report = read(tmp_path)
    assert [document.text for document in documents] == ["two"]
    assert report.problems[0].startswith("a.jsonl: wrong encoding")


def test_nul_bytes_and_half_surrogates_never_reach_a_document(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"nul\0 byte")
    (tmp_path / "b.jsonl").write_bytes(b'{"text": "nul\0 \\u0000byte \\ud800", "title": "\\udfff"}\n')
    (tmp_path / "c.csv").write_bytes(b"text\nnul\0 byte\n")
    documents, report = read(tmp_path)
    assert [document.text for document in documents] == ["nul byte", "nul byte ?", "nul byte"]
    assert report.unreadable == 0
    PassageStore.build(documents, tmp_path / "store.arrow")


def test_a_single_line_of_50_megabytes(tmp_path):
    path = tmp_path / "c.jsonl"
    path.write_text(json.dumps({"text": "abcdefghi " * 5_000_000}), encoding="utf-8")
    documents, _ = read(path)
    assert len(documents[0].text) == 50_000_000


def test_a_document_of_a_million_words_becomes_passages(tmp_path):
    path = tmp_path / "c.txt"
    path.write_text("word " * 1_000_000, encoding="utf-8")
    store = PassageStore.build(read_documents(path, ReadReport()), tmp_path / "store.arrow")
    assert store.words == 1_000_000
    assert len(store) == 6250


def test_csv_with_giant_cells_quotes_and_line_breaks(tmp_path):
    path = tmp_path / "c.csv"
    giant = "word " * 100_000
    path.write_text(f'ID,Title,Text\n1,"a, b","line\none ""quoted"""\n2,,{giant}\n3,short\n', encoding="utf-8")
    documents, report = read(path)
    assert documents == [
        Document("1", "a, b", 'line\none "quoted"', "c.csv"),
        Document("2", "", giant, "c.csv"),
    ]
    assert report.problems == ["c.csv:5: no text"]


def test_csv_with_a_bad_byte_loses_one_row(tmp_path):
    (tmp_path / "c.csv").write_bytes(b"text\none\ncaf\xe9\nthree\n")
    documents, report = read(tmp_path / "c.csv")
    assert [document.text for document in documents] == ["one", "three"]
    assert report.problems == ["c.csv:3: not UTF-8"]


def test_csv_with_an_unclosed_quote_is_counted(tmp_path):
    (tmp_path / "c.csv").write_text('text\none\n"two\nthree\n', encoding="utf-8")
    documents, report = read(tmp_path / "c.csv")
    assert [document.text for document in documents] == ["one"]
    assert report.unreadable == 1


@pytest.mark.parametrize("header", [b'text,"title\n', b"text,caf\xe9\n"])
def test_csv_with_a_broken_header_is_one_problem(tmp_path, header):
    (tmp_path / "a.csv").write_bytes(header + b"one,two\n")
    (tmp_path / "b.csv").write_bytes(b"\n\ntext\ngood\n")
    documents, report = read(tmp_path)
    assert [document.text for document in documents] == ["good"]
    assert report.unreadable == 1


def test_tsv_does_not_read_quotes(tmp_path):
    (tmp_path / "c.tsv").write_text('text\ttitle\n"open quote\tA\nnext\tB\n', encoding="utf-8")
    assert [(d.title, d.text) for d in read(tmp_path / "c.tsv")[0]] == [("A", '"open quote'), ("B", "next")]


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".parquet"])
def test_a_table_without_a_text_column_names_the_columns_found(tmp_path, suffix):
    path = tmp_path / f"c{suffix}"
    if suffix == ".parquet":
        pq.write_table(pa.table({"question": ["a"], "label": [1]}), path)
    else:
        path.write_text(("," if suffix == ".csv" else "\t").join(["question", "label"]) + "\n", encoding="utf-8")
    with pytest.raises(ReknitError, match=r"no text column; its columns are: question, label"):
        read(path)


def test_parquet_in_many_row_groups(tmp_path):
    table = pa.table({"text": [f"t{n}" for n in range(1000)], "title": [None] * 1000, "x": [[1]] * 1000})
    pq.write_table(table, tmp_path / "c.parquet", row_group_size=300)
    documents, _ = read(tmp_path / "c.parquet")
    assert [document.text for document in documents] == [f"t{n}" for n in range(1000)]
    assert documents[999].id == "c.parquet:1000"


def test_a_damaged_parquet_file_is_one_problem(tmp_path):
    (tmp_path / "a.parquet").write_bytes(b"PAR1 not really")
    write_lines(tmp_path / "b.jsonl", [{"text": "one"}])
    documents, report = read(tmp_path)
    assert len(documents) == 1
    assert report.problems[0].startswith("a.parquet: damaged Parquet file")


def test_saved_datasets_with_and_without_splits(tmp_path):
    datasets = pytest.importorskip("datasets")
    one = datasets.Dataset.from_dict({"text": ["a", "b"], "id": ["1", "2"]})
    one.save_to_disk(tmp_path / "one")
    datasets.DatasetDict({"train": one, "test": one.select([0])}).save_to_disk(tmp_path / "two")
    assert [d.id for d in read(tmp_path / "one")[0]] == ["1", "2"]
    assert [d.text for d in read(tmp_path / "two")[0]] == ["a", "b", "a"]
    assert len(read(tmp_path)[0]) == 5
    datasets.Dataset.from_dict({"question": ["a"]}).save_to_disk(tmp_path / "three")
    with pytest.raises(ReknitError, match="no text column"):
        read(tmp_path / "three")
    (tmp_path / "two" / "dataset_dict.json").write_text("{", encoding="utf-8")
    with pytest.raises(ReknitError, match="cannot be loaded"):
        read(tmp_path / "two")


def test_a_beir_folder_gives_its_corpus_and_never_its_queries(tmp_path):
    beir = tmp_path / "beir"
    (beir / "qrels").mkdir(parents=True)
    write_lines(beir / "corpus.jsonl", [{"_id": "d1", "title": "T", "text": "document"}])
    write_lines(beir / "queries.jsonl", [{"_id": "q1", "text": "query"}])
    (beir / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq1\td1\t1\n", encoding="utf-8")
    assert [d.id for d in read(beir)[0]] == ["d1"]
    assert [d.id for d in read(tmp_path)[0]] == ["d1"], "and so inside a larger folder"


def test_a_folder_is_read_in_sorted_order_without_hidden_files(tmp_path):
    for name in ("b.txt", "a.md", "sub/c.html", "sub/.hidden.txt", ".git/d.txt", "image.png"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"text of {name}", encoding="utf-8")
    assert [d.id for d in read(tmp_path)[0]] == ["a.md", "b.txt", "sub/c.html"]


def test_a_document_knows_its_file_by_its_path_below_the_corpus(tmp_path):
    datasets = pytest.importorskip("datasets")
    for folder in ("es", "search", "saved"):
        (tmp_path / folder).mkdir()
    (tmp_path / "es" / "one.txt").write_text("uno")
    write_lines(tmp_path / "es" / "more.jsonl", [{"id": "a", "text": "dos", "source": "web"}, {"text": "tres"}])
    write_lines(tmp_path / "search" / "corpus.jsonl", [{"_id": "d1", "text": "found"}])
    datasets.Dataset.from_dict({"text": ["kept"]}).save_to_disk(tmp_path / "saved" / "set")
    assert {document.text: document.source for document in read(tmp_path)[0]} == {
        "uno": "es/one.txt",
        "dos": "es/more.jsonl",
        "tres": "es/more.jsonl",
        "found": "search/corpus.jsonl",
        "kept": "saved/set",
    }
    assert [document.source for document in read(tmp_path / "es" / "one.txt")[0]] == ["one.txt"]
    assert [document.source for document in read(tmp_path / "search")[0]] == ["corpus.jsonl"]


def test_a_file_name_that_is_no_utf8_can_be_stored(tmp_path):
    folder = tmp_path / "texts"
    folder.mkdir()
    for suffix in (b".txt", b".jsonl"):
        Path(os.fsdecode(os.fsencode(folder) + b"/a\xff" + suffix)).write_text('{"text": "hello"}')
    store = PassageStore.build(read(folder)[0], tmp_path / "store.arrow")
    assert [passage.source for passage in store] == ["a?.jsonl", "a?.txt"]


def test_unreadable_files_are_counted_and_the_rest_is_read(tmp_path):
    (tmp_path / "a.txt").symlink_to(tmp_path / "missing")
    os.mkfifo(tmp_path / "b.txt")
    (tmp_path / "c.txt").write_text("good", encoding="utf-8")
    documents, report = read(tmp_path)
    assert [d.text for d in documents] == ["good"]
    assert report.problems == ["a.txt: cannot be read (No such file or directory)", "b.txt: not a regular file"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_files_and_folders_without_permission_are_counted(tmp_path):
    (tmp_path / "a.txt").write_text("secret", encoding="utf-8")
    (tmp_path / "a.txt").chmod(0)
    (tmp_path / "c.txt").write_text("good", encoding="utf-8")
    locked = tmp_path / "locked"
    locked.mkdir(mode=0)
    documents, report = read(tmp_path)
    locked.chmod(0o700)
    assert [d.text for d in documents] == ["good"]
    assert report.unreadable == 2


def test_a_loop_of_links_ends(tmp_path):
    (tmp_path / "a.txt").write_text("good", encoding="utf-8")
    (tmp_path / "loop").symlink_to(tmp_path, target_is_directory=True)
    assert len(read(tmp_path)[0]) == 1


def test_a_missing_corpus(tmp_path):
    with pytest.raises(ReknitError, match="there is no such file or folder"):
        read(tmp_path / "nowhere")


def test_empty_corpora(tmp_path):
    with pytest.raises(ReknitError, match="is empty"):
        read(tmp_path)
    (tmp_path / "a.jsonl").touch()
    with pytest.raises(ReknitError, match="is empty"):
        read(tmp_path / "a.jsonl")
    (tmp_path / "a.jsonl").write_text("{broken\n", encoding="utf-8")
    with pytest.raises(ReknitError, match=r"the first problem is a\.jsonl:1"):
        read(tmp_path / "a.jsonl")


def test_unknown_formats_are_named(tmp_path):
    (tmp_path / "a.pdf").write_bytes(b"%PDF")
    with pytest.raises(ReknitError, match=r"only \.pdf"):
        read(tmp_path)
    with pytest.raises(ReknitError, match=r"a\.pdf has a format that"):
        read(tmp_path / "a.pdf")


def test_files_of_other_formats_are_passed_over_aloud(tmp_path, caplog):
    for name in ("a.pdf", "b.pdf", "c.docx", "d.txt"):
        (tmp_path / name).write_text("a text")
    documents, report = read(tmp_path)
    assert [document.source for document in documents] == ["d.txt"]
    assert report.unreadable == 0
    assert "3 files of other formats are passed over (.docx, .pdf)" in caplog.text


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    content=st.binary(max_size=200), suffix=st.sampled_from([".txt", ".md", ".rst", ".html", ".jsonl", ".json", ".csv"])
)
def test_any_bytes_give_documents_or_a_reknit_error(tmp_path, content, suffix):
    path = tmp_path / f"c{suffix}"
    path.write_bytes(content)
    try:
        documents, message = read(path)[0], ""
    except ReknitError as error:
        documents, message = [], str(error)
    assert "\n" not in message
    for document in documents:
        assert "\0" not in document.text + document.title
        document.text.encode("utf-8")


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=st.lists(st.text(min_size=1), min_size=1, max_size=5))
def test_json_lines_round_trip(tmp_path, texts):
    path = write_lines(tmp_path / "c.jsonl", [{"text": text} for text in texts])
    expected = [text.replace("\0", "").replace("\r\n", "\n").replace("\r", "\n") for text in texts]
    assert [document.text for document in read(path)[0]] == expected
