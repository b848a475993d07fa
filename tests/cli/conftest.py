"""A small corpus, a labelled collection made of it, and one finished run, shared by the tests of the command line."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from command_line import adapt, reknit, write_lines
from small_corpus import small_documents, write_small_corpus


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """Models this small gain nothing from threads, and lose a lot where the cores are busy."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_small_corpus(tmp_path_factory.mktemp("corpus") / "corpus.jsonl", documents=60)


@pytest.fixture(scope="session")
def collection(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BEIR folder over other documents of the same kind: queries are their titles."""
    folder = tmp_path_factory.mktemp("labelled") / "tiny"
    documents = small_documents(30, seed=1)
    write_lines(folder / "corpus.jsonl", [document | {"title": ""} for document in documents])
    write_lines(folder / "queries.jsonl", [{"_id": f"q{d['_id']}", "text": d["title"]} for d in documents[:8]])
    judgements = [f"q{document['_id']}\t{document['_id']}\t1" for document in documents[:8]]
    write_lines(folder / "qrels" / "test.tsv", ["query-id\tcorpus-id\tscore", *judgements])
    return folder


@pytest.fixture(scope="session")
def finished_run(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished `reknit adapt`; only to be read."""
    run = tmp_path_factory.mktemp("finished") / "run"
    reknit(*adapt(corpus, run)).succeeded()
    return run


@pytest.fixture
def own_run(finished_run: Path, tmp_path: Path) -> Path:
    """A copy of the finished run that a test may change."""
    return Path(shutil.copytree(finished_run, tmp_path / "run"))
