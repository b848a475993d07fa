"""A corpus of several files with every kind of trouble, a tiny model, and a local Ray for the tests that need one."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from small_corpus import small_documents
from small_model import write_small_model

DOCUMENTS = 90


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four files in two folders: documents of one and of several passages, duplicates across files, an empty one, equal
    ids, an id like those that curation gives, and a broken line."""
    folder = tmp_path_factory.mktemp("corpus") / "texts"
    documents = small_documents(DOCUMENTS)
    documents[12] |= {"title": "", "text": ""}
    documents[20]["text"] *= 4
    documents[40]["_id"] = documents[75]["_id"] = "d3"
    documents[60]["_id"] = "d3~2"
    documents[70] = documents[5] | {"_id": "again", "title": documents[5]["title"].upper()}
    documents[4] = documents[50] | {"_id": "before"}
    for number in range(3):
        part = documents[30 * number : 30 * number + 30]
        path = folder / f"{'ab'[number // 2]}" / f"{number}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(map(json.dumps, part)) + "\n{broken\n" * (number == 1), encoding="utf-8")
    (folder / "b" / "note.md").write_text("# A note\n\nThe barak turns the celet, and nothing else does.\n")
    return folder


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sentence-transformers folder with random weights."""
    return write_small_model(tmp_path_factory.mktemp("model") / "tiny")


@pytest.fixture(scope="session")
def local_ray() -> Iterator[None]:
    """Ray in processes of this machine: two cores, a small store, no dashboard, nothing sent anywhere."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ["RAY_BACKEND_LOG_LEVEL"] = "fatal"
    ray = pytest.importorskip("ray", reason="needs reknit[ray]")
    pytest.importorskip("ray.data", reason="needs reknit[ray]")
    quiet: dict[str, Any] = {"include_dashboard": False, "log_to_driver": False, "logging_level": logging.ERROR}
    ray.init(num_cpus=2, object_store_memory=100 * 2**20, **quiet)
    yield
    ray.shutdown()
