"""Another mixer than attention on a user's texts, from the corpus to the loaded model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from command_line import adapt, read_result, reknit, settings
from labelled_texts import labelled, write_tsv
from small_model import write_small_model

import reknit as library
from reknit.encoders.mixers.gated_linear import GatedLinear
from reknit.encoders.spec import TextEncoderSpec
from reknit.export.sentence_transformers import save
from reknit.models.embedding_model import EmbeddingModel
from reknit.models.loading import load_embedding_model

TEXTS = ["the barak turns", "", "a longer text about the celet that holds the doron"]


def pretrain(recipe: str, corpus: Path, out: Path, *more: object, **changes: object) -> list[object]:
    words = ["pretrain", recipe, "--corpus", corpus, "--out", out, "--budget", "2000tok", *more]
    return [*words, *settings(without="tune.", **({"pretrain.encoder.mixer": "gla"} | changes))]


def test_pretrain_clm(corpus: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    ended = reknit(*pretrain("clm", corpus, run)).succeeded()
    assert "Only reknit runs this model" in ended.out + ended.err
    assert "You are using a model of type" not in ended.out + ended.err
    assert set(read_result(run)["export"]["against"]) == {"reknit"}
    assert "Only reknit runs this model" in (run / "model" / "README.md").read_text()
    assert "Only reknit runs this model" in (run / "report.html").read_text()
    model = library.load(run)
    assert isinstance(model, EmbeddingModel)
    assert all(isinstance(block.mixer, GatedLinear) for block in model.encoder.blocks)
    again = tmp_path / "again"
    exported = reknit("export", run, "--out", again, "--layers", 1).succeeded()
    assert "Only reknit runs this model" in exported.out + exported.err
    np.testing.assert_allclose(library.load(again).encode(TEXTS), model.encode(TEXTS, layers=1), atol=1e-6)
    refused = reknit("export", run, "--out", tmp_path / "onnx", "--onnx").complaint()
    assert "Only reknit runs this model" in refused
    assert "It cannot be written as ONNX" in refused
    assert not (tmp_path / "onnx").exists()
    reknit("encode", run, corpus, "--out", tmp_path / "vectors").succeeded()
    assert list((tmp_path / "vectors").glob("*.parquet"))
    # What is refused takes nothing of what it was to replace.
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    assert "set encoder.mixer=attention" in reknit(*pretrain("gem", corpus, run, "--overwrite")).complaint()
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before


@pytest.fixture(scope="module")
def own_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of an untrained model with gated linear attention."""
    folder = write_small_model(tmp_path_factory.mktemp("own") / "plain")
    plain = load_embedding_model(folder)
    spec = TextEncoderSpec(dim=32, depth=2, heads=2, intermediate=64, max_positions=128, mixer="gla")
    torch.manual_seed(0)
    plain.encoder = spec.build(plain.tokenizer.vocabulary.size, pad=plain.tokenizer.vocabulary.pad).eval()
    return save(plain, folder.with_name("own"))


def test_vocabulary(corpus: Path, own_model: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    words = ["vocabulary", corpus, "--start", own_model, "--out", run, "--budget", "500tok"]
    changes = {"vocabulary": 250, "probe.queries": 10, "precision": "float32"}
    reknit(*words, *(word for name, value in changes.items() for word in ("--set", f"{name}={value}"))).succeeded()
    assert set(read_result(run)["export"]["against"]) == {"reknit"}
    assert "Only reknit runs this model" in (run / "model" / "README.md").read_text()
    assert read_result(run)["training"]["tokens"] >= 500


def test_tune(own_model: Path, tmp_path: Path) -> None:
    labels = write_tsv(tmp_path / "labels.tsv", labelled(60, 0))
    words = ["tune", own_model, labels, "--set", "training.epochs=1", "--set", "training.learning_rates=1e-2"]
    refused = reknit(*words, "--out", tmp_path / "lora", "--method", "lora").complaint()
    assert "no queries, keys and values" in refused
    assert "bottleneck" in refused
    run = tmp_path / "run"
    reknit(*words, "--out", run, "--method", "bottleneck").succeeded()
    card = (run / "model" / "README.md").read_text()
    assert "Only reknit runs this model" in card
    assert "ther libraries" not in card
    assert not np.allclose(library.load(run).encode(TEXTS), library.load(own_model).encode(TEXTS), atol=1e-6)


def test_adapt_from_scratch_and_search(corpus: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    changes = {name.replace("pretrain", "tune"): value for name, value in SHAPE.items()}
    words = adapt(corpus, run, "--start", "scratch", **changes, **{"tune.encoder.mixer": "gla"})
    reknit(*words).succeeded()
    assert reknit("search", run, "barak").succeeded().out


SHAPE = {"pretrain.encoder.dim": 32, "pretrain.encoder.heads": 2, "pretrain.encoder.vocabulary": 300}


@pytest.mark.parametrize("recipe", ["gem", "unixcoder"])  # in every step, and in some
def test_a_recipe_with_rules_is_refused_before_the_first_step(recipe: str, corpus: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    complaint = reknit(*pretrain(recipe, corpus, run)).complaint()
    assert "a linear mixer only supports causal and bidirectional reading: set encoder.mixer=attention" in complaint
    assert not list((run / "checkpoints").rglob("step-*"))
    assert not (run / "metrics.jsonl").exists() or not (run / "metrics.jsonl").read_text()


def test_shapes_and_names_are_refused_before_anything_is_read(corpus: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    for changes, complaint in (
        ({"pretrain.encoder.family": "modernbert"}, "encoder.mixer=gla needs encoder.family=bert"),
        ({"pretrain.encoder.dim": 36, "pretrain.encoder.heads": 4}, "a multiple of twice the heads: 36 and 4"),
        ({"pretrain.encoder.mixer": "wind"}, "'wind' is none of attention, gla, retention, linear"),
    ):
        assert complaint in reknit(*pretrain("clm", corpus, run, **changes)).complaint()
        assert not run.exists()
