"""Another mixer than attention on a user's texts, from the corpus to the loaded model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from command_line import adapt, read_result, reknit, settings

import reknit as library
from reknit.encoders.mixers.gated_linear import GatedLinear
from reknit.models.embedding_model import EmbeddingModel

TEXTS = ["the barak turns", "", "a longer text about the celet that holds the doron"]


def pretrain(recipe: str, corpus: Path, out: Path, *more: object, **changes: object) -> list[object]:
    words = ["pretrain", recipe, "--corpus", corpus, "--out", out, "--budget", "2000tok", *more]
    return [*words, *settings(without="tune.", **({"pretrain.encoder.mixer": "gla"} | changes))]


def test_pretrain_clm(corpus: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    ended = reknit(*pretrain("clm", corpus, run)).succeeded()
    assert "Only reknit runs this model" in ended.out + ended.err
    assert set(read_result(run)["export"]["against"]) == {"reknit"}
    assert "Only reknit runs this model" in (run / "model" / "README.md").read_text()
    assert "Only reknit runs this model" in (run / "report.html").read_text()
    model = library.load(run)
    assert isinstance(model, EmbeddingModel)
    assert all(isinstance(block.mixer, GatedLinear) for block in model.encoder.blocks)
    again = tmp_path / "again"
    reknit("export", run, "--out", again, "--layers", 1).succeeded()
    np.testing.assert_allclose(library.load(again).encode(TEXTS), model.encode(TEXTS, layers=1), atol=1e-6)


def test_adapt_from_scratch_and_search(corpus: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    changes = {name.replace("pretrain", "tune"): value for name, value in SHAPE.items()}
    words = adapt(corpus, run, "--start", "scratch", **changes, **{"tune.encoder.mixer": "gla"})
    reknit(*words).succeeded()
    assert reknit("search", run, "barak").succeeded().out


SHAPE = {"pretrain.encoder.dim": 32, "pretrain.encoder.heads": 2, "pretrain.encoder.vocabulary": 300}


def test_a_recipe_with_rules_is_refused_before_the_first_step(corpus: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    complaint = reknit(*pretrain("gem", corpus, run)).complaint()
    assert "a linear mixer reads a text forwards or both ways and no other: take encoder.mixer=attention" in complaint
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
