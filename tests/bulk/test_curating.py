"""Curating a corpus into a folder that is a corpus itself."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from reknit.bulk.curating import CurationSpec, curate_corpus
from reknit.data.text.curation import curate
from reknit.data.text.documents import Document, ReadReport
from reknit.data.text.readers import read_documents
from reknit.errors import ReknitError


def read(folder: Path) -> list[Document]:
    """Documents without the name of their file: in a copy that is a shard's."""
    return [replace(document, source="") for document in read_documents(folder, ReadReport())]


def test_it_keeps_what_curation_keeps(corpus: Path, tmp_path: Path) -> None:
    report = ReadReport()
    kept = [replace(document, source="") for document in curate(read_documents(corpus, report), report)]
    facts = curate_corpus(CurationSpec(str(corpus)), tmp_path / "clean", rows=20)
    assert read(tmp_path / "clean") == kept
    assert [facts[name] for name in ("read", "documents", "duplicates", "empty", "unreadable")] == [91, 88, 2, 1, 1]
    assert json.loads((tmp_path / "clean" / "curation.report").read_text()) == facts
    assert facts["shards"] == 5
    again = curate_corpus(CurationSpec(str(tmp_path / "clean")), tmp_path / "twice")
    assert (again["documents"], again["duplicates"]) == (88, 0)


def test_queries_of_an_evaluation_leave_the_corpus(corpus: Path, tmp_path: Path) -> None:
    labelled = tmp_path / "labelled"
    (labelled / "qrels").mkdir(parents=True)
    title = read(corpus)[0].title
    (labelled / "corpus.jsonl").write_text('{"_id": "a", "text": "an answer of another collection"}\n')
    (labelled / "queries.jsonl").write_text(json.dumps({"_id": "q", "text": title}) + "\n")
    (labelled / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq\ta\t1\n")
    facts = curate_corpus(CurationSpec(str(corpus), (str(labelled),)), tmp_path / "clean")
    assert facts["eval_overlaps"] == 1
    assert title not in {document.title for document in read(tmp_path / "clean")}


def test_bad_input(corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(ReknitError, match="more than 0 unreadable"):
        curate_corpus(CurationSpec(str(corpus), max_bad=0), tmp_path / "clean")
    assert list(tmp_path.iterdir()) == [], "nothing is left of a job that failed"
    (tmp_path / "empty.jsonl").write_text('{"text": ""}\n')
    with pytest.raises(ReknitError, match="no document is left"):
        curate_corpus(CurationSpec(str(tmp_path / "empty.jsonl")), tmp_path / "clean")
    curate_corpus(CurationSpec(str(corpus)), tmp_path / "clean")
    with pytest.raises(ReknitError, match="add --overwrite"):
        curate_corpus(CurationSpec(str(corpus)), tmp_path / "clean")
    curate_corpus(CurationSpec(str(corpus)), tmp_path / "clean", overwrite=True)
