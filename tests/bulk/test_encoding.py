"""Encoding a corpus: what the shards hold, who can load them, and what a stop leaves."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from report_samples import full_result

import reknit
from reknit.bulk import encoding
from reknit.bulk.curating import CurationSpec, curate_corpus
from reknit.bulk.encoding import EncodingSpec, encode_corpus, passage_words_of
from reknit.bulk.shards import shards_of
from reknit.data.text.documents import ReadReport
from reknit.data.text.passage_store import PassageStore
from reknit.data.text.readers import read_documents
from reknit.errors import ReknitError


@pytest.fixture(scope="module")
def spec(model: Path, corpus: Path) -> EncodingSpec:
    return EncodingSpec(str(model), str(corpus), precision="float32", passage_words=100)


@pytest.fixture(scope="module")
def encoded(spec: EncodingSpec, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The whole corpus in shards of 25 rows; only to be read."""
    out = tmp_path_factory.mktemp("encoded") / "vectors"
    encode_corpus(spec, out, rows=25)
    return out


def test_rows_are_the_passages_in_order(spec: EncodingSpec, encoded: Path, corpus: Path, tmp_path: Path) -> None:
    table = pq.read_table(shards_of(encoded))
    documents = read_documents(corpus, ReadReport())
    passages = list(PassageStore.build(documents, tmp_path / "store", max_words=spec.passage_words))
    assert any(passage.parts > 1 for passage in passages)
    assert table["id"].to_pylist() == [passage.id for passage in passages]
    assert table["document"].to_pylist() == [passage.document_id for passage in passages]
    assert table["title"].to_pylist() == [passage.title for passage in passages]
    assert table["text"].to_pylist() == [passage.text for passage in passages]
    vectors = np.array(table["vector"].to_pylist(), dtype=np.float32)
    model = reknit.load(spec.model)
    expected = model.encode([passage.full_text for passage in passages], prompt_name="document")
    np.testing.assert_allclose(vectors, expected, atol=1e-5)


def test_facts(spec: EncodingSpec, encoded: Path) -> None:
    facts = json.loads((encoded / "encoding.json").read_text())
    rows = [pq.read_metadata(shard).num_rows for shard in shards_of(encoded)]
    assert (facts["passages"], facts["shards"], facts["dims"]) == (sum(rows), len(rows), 32)
    assert rows[:-1] == [25] * (len(rows) - 1)
    assert facts["complete"]
    assert (facts["similarity"], facts["unit_length"], facts["unreadable"]) == ("cosine", True, 1)
    assert facts["versions"]["reknit"]
    assert {file.name for file in encoded.iterdir()} == {"encoding.json", *(shard.name for shard in shards_of(encoded))}


def test_vector_stores_and_data_frames_load_it(encoded: Path, tmp_path: Path) -> None:
    import lancedb
    import pandas as pd
    import pyarrow.dataset as ds
    from datasets import Dataset

    rows = pq.read_table(shards_of(encoded))
    table = lancedb.connect(tmp_path / "store").create_table(
        "texts", ds.dataset(encoded, format="parquet", exclude_invalid_files=True).to_table()
    )
    nearest = table.search(np.array(rows["vector"][3].as_py(), np.float32)).distance_type("dot").limit(1).to_list()
    assert nearest[0]["id"] == rows["id"][3].as_py()
    frame = pd.concat(map(pd.read_parquet, shards_of(encoded)))
    assert np.stack(frame["vector"]).shape == (len(rows), 32)
    loaded = Dataset.from_parquet([str(shard) for shard in shards_of(encoded)], cache_dir=str(tmp_path / "cache"))
    assert loaded.with_format("numpy")[0]["vector"].shape == (32,)


def test_half_precision_dims_and_layers(model: Path, corpus: Path, tmp_path: Path) -> None:
    spec = EncodingSpec(str(model), str(corpus), layers=1, dims=16, precision="float32", vectors="float16")
    assert encode_corpus(spec, tmp_path / "small")["dims"] == 16
    table = pq.read_table(shards_of(tmp_path / "small"))
    assert table.schema.field("vector").type.list_size == 16
    assert str(table.schema.field("vector").type.value_type) == "halffloat"
    texts = [
        f"{title} {text}".strip()
        for title, text in zip(table["title"].to_pylist(), table["text"].to_pylist(), strict=True)
    ]
    expected = reknit.load(model).encode(texts, layers=1, dims=16)
    np.testing.assert_allclose(np.array(table["vector"].to_pylist(), np.float32), expected, atol=1e-3)


def test_a_stopped_job_goes_on(
    spec: EncodingSpec, encoded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, write, written = tmp_path / "vectors", encoding.write_vectors, []

    def fail_at_the_third(path: Path, *rest: object) -> None:
        if path.name == "part-00002.parquet":
            raise KeyboardInterrupt
        written.append(path.name)
        write(path, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(encoding, "write_vectors", fail_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        encode_corpus(spec, out, rows=25)
    assert not json.loads((out / "encoding.json").read_text())["complete"]
    with pytest.raises(ReknitError, match="add --overwrite"):
        encode_corpus(spec, out, rows=25)
    monkeypatch.setattr(encoding, "write_vectors", lambda path, *rest: (written.append(path.name), write(path, *rest)))
    encode_corpus(spec, out, resume=True, rows=25)
    assert written == [shard.name for shard in shards_of(encoded)], "whole shards are not made again"
    assert pq.read_table(shards_of(out)).equals(pq.read_table(shards_of(encoded)))
    assert json.loads((out / "encoding.json").read_text()) == json.loads((encoded / "encoding.json").read_text())
    with pytest.raises(ReknitError, match="nothing to resume"):
        encode_corpus(spec, out, resume=True)


def test_nothing_is_deleted_before_the_new_job_can_begin(spec: EncodingSpec, tmp_path: Path) -> None:
    out = tmp_path / "vectors"
    encode_corpus(spec, out)
    before = {file.name: file.read_bytes() for file in out.iterdir()}
    for changes in ({"model": str(tmp_path / "absent")}, {"dims": 99}):
        with pytest.raises(ReknitError):
            encode_corpus(dataclasses.replace(spec, **changes), out, overwrite=True)
        assert {file.name: file.read_bytes() for file in out.iterdir()} == before
    encode_corpus(dataclasses.replace(spec, dims=8), out, overwrite=True)
    assert json.loads((out / "encoding.json").read_text())["dims"] == 8


def test_the_folder_one_stands_in(spec: EncodingSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    to_curate = CurationSpec(spec.corpus)
    for name, job in (("vectors", lambda: encode_corpus(spec, ".")), ("clean", lambda: curate_corpus(to_curate, "."))):
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        job()
        assert len(list((tmp_path / name).iterdir())) > 1


def test_bad_input(spec: EncodingSpec, model: Path, corpus: Path, tmp_path: Path) -> None:
    def refused(because: str, out: Path = tmp_path / "new", resume: bool = False, **changes: object) -> None:
        given = {"model": str(model), "corpus": str(corpus), **changes}
        with pytest.raises(ReknitError, match=because):
            encode_corpus(EncodingSpec(**given), out, resume=resume)  # type: ignore[arg-type]

    refused("no corpus at", corpus=str(tmp_path / "nowhere"))
    refused("does not exist", model=str(tmp_path / "nowhere"))
    refused("48 cannot be kept", dims=48)
    refused("at least 1", passage_words=0)
    refused("more than 0 unreadable", max_bad=0, out=tmp_path / "bad")
    refused("no encoding to resume", resume=True)
    refused("inside the corpus", out=corpus / "vectors")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    refused("is not empty", out=tmp_path / "full")
    assert (tmp_path / "full" / "mine.txt").read_text() == "mine"
    refused(
        "was started with passage_words 160, not 50", out=tmp_path / "bad", resume=True, passage_words=50, max_bad=0
    )


def test_passages_of_a_run_are_as_long_as_in_its_index(tmp_path: Path) -> None:
    assert passage_words_of(str(tmp_path)) == 160
    result = full_result()
    (tmp_path / "result.json").write_text(json.dumps(result))  # of a version that did not say it
    assert passage_words_of(str(tmp_path)) == 160
    result["corpus"]["passage_words"] = 103
    (tmp_path / "result.json").write_text(json.dumps(result))
    assert passage_words_of(str(tmp_path)) == 103
    (tmp_path / "result.json").write_text('{"arm": "mlm"}')  # of one arm of a comparison
    assert passage_words_of(str(tmp_path)) == 160
