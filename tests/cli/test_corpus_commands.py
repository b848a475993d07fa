"""`reknit encode` and `reknit curate` as a person uses them."""

from __future__ import annotations

import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from command_line import process, reknit


def test_encode(finished_run: Path, corpus: Path, tmp_path: Path) -> None:
    out = tmp_path / "vectors"
    ended = reknit("encode", finished_run, corpus, "--out", out, "--dims", 16, "--vectors", "float16").succeeded()
    assert ended.out == f"wrote {out}: 60 passages, 16 dimensions, 1 shards\n"
    assert pq.read_table(out / "part-00000.parquet").num_rows == 60
    assert "--overwrite" in reknit("encode", finished_run, corpus, "--out", out).complaint()
    reknit("encode", finished_run, corpus, "--out", out, "--overwrite").succeeded()
    assert "nothing to resume" in reknit("encode", finished_run, corpus, "--out", out, "--resume").complaint()


def test_curate_then_encode(finished_run: Path, corpus: Path, tmp_path: Path) -> None:
    ended = reknit("curate", corpus, "--out", tmp_path / "clean").succeeded()
    assert "60 documents of 60; dropped 0 duplicates, 0 empty" in ended.out
    reknit("encode", finished_run, tmp_path / "clean", "--out", tmp_path / "vectors").succeeded()


@pytest.mark.parametrize("verb", ["encode", "curate"])
def test_without_ray_one_line_says_so(
    verb: str, finished_run: Path, corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name == "ray" or name.startswith("ray.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "ray", None)
    model = (finished_run,) if verb == "encode" else ()
    words = (verb, *model, corpus, "--out", tmp_path / "out", "--ray")
    assert reknit(*words).complaint() == "--ray needs Ray, which is not installed: pip install 'reknit[ray]'"
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_curate_on_ray_as_a_process(corpus: Path, tmp_path: Path) -> None:
    pytest.importorskip("ray.data", reason="needs reknit[ray]")
    shown = process("curate", corpus, "--out", tmp_path / "clean", "--ray").succeeded()
    assert "60 documents of 60" in shown.out
    assert shown.err == ""
    reknit("curate", corpus, "--out", tmp_path / "here").succeeded()
    shards = (tmp_path / place / "part-00000.parquet" for place in ("clean", "here"))
    first, second = (pq.read_table(shard) for shard in shards)
    assert first.equals(second)
