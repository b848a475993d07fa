"""ONNX files give the same vectors on shapes they were not traced with."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path

import numpy as np
import pytest
from export_samples import export_sample

from reknit.errors import ReknitError
from reknit.export import onnx
from reknit.export.onnx import encode_with_onnx, export_onnx
from reknit.export.sentence_transformers import save
from reknit.models.embedding_model import EmbeddingModel

needs_onnx = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("onnx", "onnxruntime", "onnxscript")),
    reason="the onnx extra is not installed",
)


TEXTS = (["the dog"], ["", "a fox jumps", "a model learns from text " * 90], ["the lazy dog"] * 5)


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[EmbeddingModel, Path]:
    """A BERT with last-token pooling, the pooling with the most to get wrong, and its folder with the ONNX file."""
    model = export_sample("bert", pooling="last")
    folder = save(model, tmp_path_factory.mktemp("onnx") / "out", layers=2, dims=8)
    export_onnx(folder)
    return model, folder


@needs_onnx
def test_same_vectors_as_the_model(exported: tuple[EmbeddingModel, Path]) -> None:
    model, folder = exported
    path = folder / "onnx" / "model.onnx"
    assert [file.name for file in path.parent.iterdir()] == ["model.onnx"]
    for texts in TEXTS:
        expected = model.encode(texts, layers=2, dims=8)
        np.testing.assert_allclose(encode_with_onnx(path, folder, texts), expected, atol=1e-4)


@needs_onnx
@pytest.mark.slow
@pytest.mark.parametrize(
    ("family", "pooling"), [("modernbert", "mean"), ("modernbert", "cls"), ("bert", "mean"), ("bert", "max")]
)
def test_other_families_and_poolings(family: str, pooling: str, tmp_path: Path) -> None:
    model = export_sample(family, pooling=pooling)
    folder = save(model, tmp_path / "out")
    path = export_onnx(folder)
    for texts in TEXTS:
        np.testing.assert_allclose(encode_with_onnx(path, folder, texts), model.encode(texts), atol=1e-4)


@needs_onnx
def test_planted_bug_is_caught_and_nothing_is_left(
    exported: tuple[EmbeddingModel, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file of a model with another pooling must not pass for this one's."""
    model, good = exported
    other = EmbeddingModel(model.encoder, model.tokenizer, pooling="cls", max_length=150)
    folder = save(other, tmp_path / "out", layers=2, dims=8)
    monkeypatch.setattr(onnx, "_trace", lambda plain, path: shutil.copy(good / "onnx" / "model.onnx", path))
    with pytest.raises(ReknitError, match=r"the ONNX file of .* gives other vectors"):
        export_onnx(folder)
    assert not (folder / "onnx").exists()


def test_what_is_missing_is_said(bert: EmbeddingModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if importlib.util.find_spec("onnxruntime") is not None:
        with pytest.raises(ReknitError, match=r"has no modules\.json"):
            export_onnx(tmp_path)
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "onnxruntime" else found(name))
    with pytest.raises(ReknitError, match=r"ONNX export needs onnxruntime; install with: pip install reknit\[onnx\]"):
        export_onnx(tmp_path)
