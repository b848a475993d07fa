"""`reknit tune` through the real command line, and the commands that read its folder."""

from __future__ import annotations

import copy
import json
import signal
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from command_line import Ended, command, contents, read_result, reknit
from labelled_texts import labelled, write_tsv
from small_model import write_small_model

import reknit as library
from reknit.adapters import FOLDER
from reknit.adapters.encoder import attach
from reknit.adapters.files import save_adapter
from reknit.adapters.low_rank import LoRASpec
from reknit.adapters.mixed import MixAndMatchSpec
from reknit.models.loading import load_embedding_model, load_model

QUICK = ("--set", "training.epochs=1", "--set", "training.learning_rates=1e-2")
ENDLESS = ("--set", "training.epochs=1000000", "--set", "training.learning_rates=1e-2")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_small_model(tmp_path_factory.mktemp("start") / "small")


@pytest.fixture(scope="module")
def labels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tsv(tmp_path_factory.mktemp("labels") / "tickets.tsv", labelled(120, 0))


def test_a_run_says_what_it_found(model: Path, labels: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    ended = reknit("tune", model, labels, "--out", run, *QUICK).succeeded()
    assert "method lora: the default" in ended.err
    result = read_result(run)
    assert ended.out.startswith(result["verdict"]["sentence"].split(":")[0])
    table = ended.out.splitlines()
    assert [line.split()[0] for line in table if line.startswith(("frozen", "lora"))] == ["frozen", "lora"]
    weights = result["arms"]["tuned"]["trained_weights"]
    assert f"{weights:,} ({result['arms']['tuned']['trained_fraction']:.2%})" in ended.out
    assert f"report: {run / 'report.html'}   model: {run / 'model'}" in ended.out
    quiet = reknit("tune", model, labels, "--out", tmp_path / "other", "--method", "ia3", *QUICK).succeeded()
    assert "the default" not in quiet.err


def test_the_command_of_a_result_repeats_it(model: Path, labels: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    reknit("tune", model, labels, "--out", run, "--method", "prefix", *QUICK).succeeded()
    first = library.load(run).encode(["a text"])
    words = read_result(run)["command"].split()
    assert words[0] == "reknit"
    reknit(*words[1:], "--overwrite").succeeded()
    np.testing.assert_allclose(library.load(run).encode(["a text"]), first, atol=1e-6)


@pytest.mark.parametrize("method", ["bitfit", "mam"])
def test_what_other_commands_make_of_it(method: str, model: Path, labels: Path, corpus: Path, tmp_path: Path) -> None:
    import pyarrow.parquet as parquet

    run, vectors = tmp_path / "run", tmp_path / "vectors"
    reknit("tune", model, labels, "--out", run, "--method", method, *QUICK, "--set", "precision=float32").succeeded()
    assert reknit("search", run, "barak").complaint().startswith(f"{run} has no index/: give the run folder")
    reknit("encode", run, corpus, "--out", vectors, "--precision", "float32").succeeded()
    row = parquet.read_table(next(vectors.glob("*.parquet"))).slice(0, 1).to_pylist()[0]
    text = f"{row['title']} {row['text']}".strip()
    found = library.load(run).encode([text], prompt_name="document")[0]
    np.testing.assert_allclose(row["vector"], found, atol=1e-4)
    assert np.abs(found - load_model(model).encode([text])[0]).max() > 1e-3, "the adapter is applied"
    exported = reknit("export", run, "--out", tmp_path / "exported")
    if method == "mam":
        assert "stays beside the model" in exported.complaint()
        return
    exported.succeeded()
    np.testing.assert_allclose(library.load(tmp_path / "exported").encode([text])[0], found, atol=1e-5)


@pytest.mark.parametrize("spec", [LoRASpec(), MixAndMatchSpec()], ids=["merged", "attached"])
def test_search_asks_with_the_adapted_vector(spec, own_run: Path) -> None:
    plain = load_embedding_model(own_run / "model")
    torch.manual_seed(0)
    adapted = attach(copy.deepcopy(plain.encoder), spec)
    with torch.no_grad():
        for parameter in adapted.adapter.parameters():
            parameter.add_(torch.randn_like(parameter))
    (own_run / "model" / FOLDER).mkdir()
    save_adapter(adapted, spec, own_run / "model" / FOLDER)
    query = "barak"
    hit = json.loads(reknit("search", own_run, query, "--mode", "dense", "--json").succeeded().out)[0]
    document = plain.encode([f"{hit['title']} {hit['text']}"], prompt_name="document")[0]
    asked, before = (one.encode([query], prompt_name="query")[0] for one in (load_model(own_run), plain))
    assert hit["score"] == pytest.approx(float(document @ asked), abs=1e-3)
    assert abs(float(document @ asked) - float(document @ before)) > 1e-2


def refused(*words: object) -> str:
    out = Path(str(words[words.index("--out") + 1]))
    line = reknit("tune", *words).complaint()
    assert not out.exists()
    return line


def test_bad_input_is_one_line(model: Path, labels: Path, tmp_path: Path) -> None:
    out = ("--out", tmp_path / "run")
    rows = labelled(100, 0)
    unnamed = write_tsv(tmp_path / "unnamed.tsv", rows, "class\ttext")
    one = write_tsv(tmp_path / "one.tsv", [("same", text) for _, text in rows])
    few = write_tsv(tmp_path / "few.tsv", rows[:12])
    (tmp_path / "folder").mkdir()
    assert "has no column 'label'" in refused(model, unnamed, *out)
    assert "one.tsv has only one label" in refused(model, one, *out)
    assert "to test on: at least 20 and 20 are needed" in refused(model, few, *out)
    assert "train.tsv cannot be read" in refused(model, tmp_path / "folder", *out)
    assert refused(model, labels, *out, "--method", "bitfitt") == (
        "there is no method of tune 'bitfitt'; did you mean bitfit?"
    )
    assert "mlm is not a method of tune" in refused(model, labels, *out, "--method", "mlm")
    assert "there is no field 'rank' here; it has no settings" in refused(
        model, labels, *out, "--method", "bitfit", "--set", "part.rank=8"
    )
    assert "this is not a model folder" in refused(tmp_path / "folder", labels, *out)


def test_a_taken_folder_is_not_touched(model: Path, labels: Path, tmp_path: Path, own_run: Path) -> None:
    run = tmp_path / "tuned"
    reknit("tune", model, labels, "--out", run, *QUICK).succeeded()
    before = contents(run)
    assert "add --overwrite" in reknit("tune", model, labels, "--out", run, *QUICK).complaint()
    reknit("tune", model, labels, "--out", run, "--overwrite", "--set", "part.rank=0").complaint()
    assert contents(run) == before
    other = contents(own_run)
    line = reknit("tune", model, labels, "--out", own_run, "--overwrite").complaint()
    assert "holds no tuned model: give a new folder" in line
    assert contents(own_run) == other


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_run_that_is_ended_leaves_nothing_behind(
    number: signal.Signals, model: Path, labels: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    reknit("tune", model, labels, "--out", run, *QUICK).succeeded()
    before = contents(run)
    words = command("tune", model, labels, "--out", run, "--overwrite", *ENDLESS)
    running = subprocess.Popen(
        words,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A job in the background of a script is started with SIGINT ignored, and hands that down.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    while "to learn from" not in running.stderr.readline():
        assert running.poll() is None, "it ended by itself"
    running.send_signal(number)
    out, err = running.communicate(timeout=60)
    if number is signal.SIGINT:
        assert Ended(running.returncode, out, err).complaint(code=130) == "stopped"
    assert running.returncode != 0
    assert contents(run) == before
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
