"""A model with a trained pooling: reknit gets it back, other libraries get the plain mean, and the README says so."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from export_samples import export_tokenizer

from reknit.encoders.pooling_modes import TRAINED_POOLINGS
from reknit.encoders.spec import TextEncoderSpec
from reknit.errors import ReknitError
from reknit.export.check import check_export
from reknit.export.model import export_model
from reknit.export.sentence_transformers import save
from reknit.models.embedding_model import EmbeddingModel
from reknit.models.loading import load_embedding_model

TEXTS = ["the dog", "a model learns from text that nobody has labelled"]


def sample(kind: str, family: str = "bert") -> EmbeddingModel:
    torch.manual_seed(0)
    tokenizer = export_tokenizer()
    spec = TextEncoderSpec(family=family, dim=32, depth=4, heads=4, intermediate=48, max_positions=200, pooling=kind)
    encoder = spec.build(tokenizer.vocabulary.size, pad=tokenizer.vocabulary.pad)
    return EmbeddingModel(encoder, tokenizer, pooling=kind, max_length=150, name="toy")


@pytest.mark.parametrize("family", ["bert", "modernbert"])
@pytest.mark.parametrize("kind", TRAINED_POOLINGS)
def test_reknit_gets_it_back_and_the_others_agree_on_the_mean(kind: str, family: str, tmp_path: Path) -> None:
    from sentence_transformers import SentenceTransformer

    model = sample(kind, family)
    out = save(model, tmp_path / "out")
    checked = check_export(model, out, TEXTS)
    assert set(checked.against) == {"reknit", "transformers", "sentence-transformers", "reknit, trained pooling"}
    assert checked.max_abs_diff < 1e-5
    loaded = load_embedding_model(out)
    assert loaded.pooling == kind
    np.testing.assert_allclose(loaded.encode(TEXTS), model.encode(TEXTS), atol=1e-6)
    theirs = SentenceTransformer(str(out), device="cpu").encode(TEXTS)
    plain = EmbeddingModel(model.encoder, model.tokenizer, pooling="mean", max_length=150)
    np.testing.assert_allclose(theirs, plain.encode(TEXTS), atol=1e-5)
    assert np.abs(theirs - model.encode(TEXTS)).max() > 1e-2
    assert json.loads((out / "1_Pooling" / "config.json").read_text())["pooling_mode_mean_tokens"]
    assert not [file for file in out.rglob("*") if file.suffix in (".bin", ".pt", ".pkl")]
    # A second export, of what was loaded, is the same model again.
    assert check_export(loaded, save(loaded, tmp_path / "again"), TEXTS).max_abs_diff < 1e-5


def test_the_readme_says_what_other_libraries_get(tmp_path: Path) -> None:
    readme = (save(sample("latent-attention"), tmp_path / "out") / "README.md").read_text()
    assert "`trained_pooling/` holds the latent-attention pooling" in readme
    assert "Other libraries take the mean of the tokens instead" in readme
    assert "trained_pooling" not in (save(sample("mean"), tmp_path / "plain") / "README.md").read_text()
    assert not (tmp_path / "plain" / "trained_pooling").exists()


def test_fewer_coordinates_go_with_it_and_fewer_layers_do_not(tmp_path: Path) -> None:
    model = sample("layer-attention")
    narrow = save(model, tmp_path / "narrow", dims=8)
    assert check_export(model, narrow, TEXTS).max_abs_diff < 1e-5
    np.testing.assert_allclose(load_embedding_model(narrow).encode(TEXTS), model.encode(TEXTS, dims=8), atol=1e-6)
    with pytest.raises(ReknitError, match="cannot export 2 layers of toy: its layer-attention pooling was trained for"):
        save(model, tmp_path / "shallow", layers=2)
    assert not (tmp_path / "shallow").exists()
    with pytest.raises(ReknitError, match="cannot export 1 layers"):
        export_model(narrow, tmp_path / "shallow", layers=1)
    assert export_model(narrow, tmp_path / "copied").max_abs_diff < 1e-5


def nudge(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    tensors = load_file(folder / "trained_pooling" / "model.safetensors")
    tensors["down.bias"] += torch.linspace(0, 1, 32)
    save_file(tensors, folder / "trained_pooling" / "model.safetensors")


PLANTED: dict[str, tuple[Callable[[Path], object], str]] = {
    "other weights": (nudge, "gives other vectors in reknit, trained pooling:"),
    "it was left out": (
        lambda folder: shutil.rmtree(folder / "trained_pooling"),
        "gives other vectors in reknit, trained pooling:",
    ),
    "the plain folder pools otherwise": (
        lambda folder: (folder / "1_Pooling" / "config.json").write_text(
            '{"word_embedding_dimension": 32, "pooling_mode_cls_token": true, "pooling_mode_mean_tokens": false}'
        ),
        "gives other vectors in transformers, sentence-transformers:",
    ),
}


@pytest.mark.parametrize("name", list(PLANTED))
def test_planted_bugs_are_caught(name: str, tmp_path: Path) -> None:
    model, (plant, message) = sample("token-attention"), PLANTED[name]
    folder = save(model, tmp_path / "out")
    plant(folder)
    with pytest.raises(ReknitError, match=message):
        check_export(model, folder, TEXTS)
