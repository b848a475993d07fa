"""A folder with an ONNX file alone encodes as the model that the file was made of."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from encoder_samples import minilm_folder

import reknit
from reknit.errors import ReknitError
from reknit.export.model import export_model
from reknit.models.loading import load_embedding_model, load_model
from reknit.models.onnx_model import OnnxModel, pooled

TEXTS = ["a cat sat on the mat", "", "aerodynamics of slender wings at hypersonic speed", "a"]


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With safetensors and ONNX."""
    folder = tmp_path_factory.mktemp("onnx") / "both"
    export_model(str(minilm_folder()), folder, onnx=True)
    return folder


@pytest.fixture
def folder(exported: Path, tmp_path: Path) -> Path:
    copy = shutil.copytree(exported, tmp_path / "small")
    (copy / "model.safetensors").unlink()
    return copy


def test_vectors_are_those_of_the_model(exported: Path, folder: Path) -> None:
    ours, theirs = reknit.load(exported), reknit.load(folder)
    assert isinstance(theirs, OnnxModel)
    assert (theirs.dim, theirs.max_length, theirs.name) == (ours.dim, ours.max_length, "small")
    np.testing.assert_allclose(theirs.encode(TEXTS), ours.encode(TEXTS), atol=1e-5)
    np.testing.assert_allclose(theirs.encode(TEXTS, dims=4), ours.encode(TEXTS, dims=4), atol=1e-5)


@pytest.mark.parametrize("pooling", ["mean", "cls", "max", "last"])
def test_states_are_pooled_as_a_loop_pools_them(pooling: str) -> None:
    rng = np.random.default_rng(0)
    states, lengths = rng.normal(size=(4, 5, 3)).astype(np.float32), [5, 2, 0, 1]
    mask = np.array([[place < length for place in range(5)] for length in lengths], dtype=np.float32)
    found = pooled(states, mask, pooling)
    for row, length in enumerate(lengths):
        own = states[row, :length]
        ways = {
            "mean": lambda own: own.mean(axis=0),
            "cls": lambda own: own[0],
            "max": lambda own: own.max(axis=0),
            "last": lambda own: own[-1],
        }
        expected = ways[pooling](own) if length else np.zeros(3)
        np.testing.assert_allclose(found[row], expected, atol=1e-6)


def test_prompts_are_put_before_texts(folder: Path) -> None:
    general = folder / "config_sentence_transformers.json"
    general.write_text(json.dumps(json.loads(general.read_text()) | {"prompts": {"query": "ask: "}}))
    model = load_model(folder)
    np.testing.assert_allclose(model.encode(["wings"], prompt_name="query"), model.encode(["ask: wings"]), atol=1e-6)


def test_it_can_be_saved_and_loaded_again(folder: Path, tmp_path: Path) -> None:
    model = load_model(folder)
    assert isinstance(model, OnnxModel)
    model.prompts = {"query": "ask: "}
    expected = model.encode(TEXTS, prompt_name="query")
    shutil.rmtree(folder)
    model.save(tmp_path / "run" / "model")
    again = load_model(tmp_path / "run")
    np.testing.assert_array_equal(again.encode(TEXTS, prompt_name="query"), expected)
    assert (again.max_length, again.similarity, again.has_unit_vectors) == (model.max_length, "cosine", True)


def test_what_it_cannot_do_is_refused(folder: Path) -> None:
    model = load_model(folder)
    with pytest.raises(ReknitError, match="its layers cannot be cut"):
        model.encode(["a"], layers=1)
    with pytest.raises(ReknitError, match="dimensions; 10000 cannot be kept"):
        model.encode(["a"], dims=10_000)
    with pytest.raises(ReknitError, match="runs only through onnxruntime"):
        load_embedding_model(folder)


def test_a_damaged_file_is_one_clear_line(folder: Path) -> None:
    (folder / "onnx" / "model.onnx").write_bytes(b"garbage")
    with pytest.raises(ReknitError, match=r"model\.onnx cannot be loaded by onnxruntime"):
        load_model(folder)
