"""The jobs on Ray against the same jobs here: the same rows in the same order."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from reknit.bulk import pieces
from reknit.bulk.curating import CurationSpec, curate_corpus
from reknit.bulk.encoding import EncodingSpec, encode_corpus
from reknit.bulk.shards import shards_of
from reknit.data.text.documents import ReadReport
from reknit.data.text.readers import read_documents
from reknit.errors import ReknitError

# What may differ between two runs of one job.
OWN = ("shards",)


@pytest.fixture(autouse=True)
def a_piece_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pieces of one file each, so that readers really run side by side."""
    monkeypatch.setattr(pieces.corpus_pieces, "__kwdefaults__", {"size": 1})


def facts_but_own(path: Path) -> dict:
    return {name: value for name, value in json.loads(path.read_text()).items() if name not in OWN}


def test_pieces_are_the_corpus_in_order(corpus: Path) -> None:
    whole, parts = ReadReport(), ReadReport()
    expected = list(read_documents(corpus, whole))
    for size in (1, 3000, 2**20):
        parts = ReadReport()
        cut = pieces.corpus_pieces(str(corpus), parts, max_bad=100, size=size)
        assert [document for piece in cut for document in pieces.read_piece(piece, parts, max_bad=100)] == expected
        assert parts == whole
        assert (len(cut) == 1) == (size == 2**20)


def test_encoding(local_ray: None, model: Path, corpus: Path, tmp_path: Path) -> None:
    from reknit.bulk.ray_encoding import encode_corpus_on_ray

    spec = EncodingSpec(str(model), str(corpus), precision="float32", passage_words=100)
    encode_corpus(spec, tmp_path / "here")
    facts = encode_corpus_on_ray(spec, tmp_path / "ray")
    here, ray = (pq.read_table(shards_of(tmp_path / place)) for place in ("here", "ray"))
    assert facts["shards"] == len(shards_of(tmp_path / "ray")) == 4
    assert ray.schema.equals(here.schema)
    assert ray.drop_columns("vector").equals(here.drop_columns("vector"))
    vectors = [np.array(table["vector"].to_pylist(), np.float32) for table in (here, ray)]
    np.testing.assert_allclose(*vectors, atol=1e-5)
    assert facts_but_own(tmp_path / "ray" / "encoding.json") == facts_but_own(tmp_path / "here" / "encoding.json")
    left = {file.name for file in (tmp_path / "ray").iterdir()}
    assert left == {"encoding.json", *(shard.name for shard in shards_of(tmp_path / "ray"))}

    # The same Ray: starting it takes most of the time.
    with pytest.raises(ReknitError, match=r"^more than 0 unreadable records"):
        encode_corpus_on_ray(dataclasses.replace(spec, max_bad=0), tmp_path / "bad")
    assert not (tmp_path / "bad").exists()
    assert not (tmp_path / ".bad.partial").exists()


@pytest.mark.slow
def test_curation(local_ray: None, corpus: Path, tmp_path: Path) -> None:
    from reknit.bulk.ray_curating import curate_corpus_on_ray

    spec = CurationSpec(str(corpus))
    curate_corpus(spec, tmp_path / "here")
    curate_corpus_on_ray(spec, tmp_path / "ray", rows=16)
    here, ray = (pq.read_table(shards_of(tmp_path / place)) for place in ("here", "ray"))
    assert ray.equals(here)
    assert {"d3", "d3~2", "d3~2~2", "d3~3"} <= set(ray["id"].to_pylist())
    assert facts_but_own(tmp_path / "ray" / "curation.report") == facts_but_own(tmp_path / "here" / "curation.report")
