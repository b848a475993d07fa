"""A model folder with an adapter beside it: what encoding, searching and exporting make of it."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from adapter_checks import disturb
from encoder_samples import minilm_folder
from small_model import write_small_model

from reknit.adapters import FOLDER
from reknit.adapters.base import AdapterSpec
from reknit.adapters.encoder import AdaptedEncoder, attach
from reknit.adapters.files import KINDS, save_adapter
from reknit.encoders.native.packed_weights import can_be_packed
from reknit.errors import ReknitError
from reknit.export.model import export_model
from reknit.export.sentence_transformers import save
from reknit.models.embedding_model import EmbeddingModel
from reknit.models.loading import load_embedding_model, load_model

TEXTS = ["a barak and a cedar", "", "turns " * 60, "the lamp of the mill"]


def write_loud_model(folder: Path) -> Path:
    """A small model whose layers do more than its embeddings: what an adapter changes in them can be seen."""
    model = load_embedding_model(write_small_model(folder))
    with torch.no_grad():
        for parameter in model.encoder.parameters():
            if parameter.ndim > 1:
                parameter.mul_(10)
    return save(model, folder)


def with_adapter(folder: Path, spec: AdapterSpec, strength: float = 1.0) -> EmbeddingModel:
    """The model of the folder with a trained adapter attached, which is written beside it."""
    model = load_embedding_model(folder)
    torch.manual_seed(0)
    adapted = attach(copy.deepcopy(model.encoder), spec)
    disturb(adapted.adapter, strength)
    (folder / FOLDER).mkdir()
    save_adapter(adapted, spec, folder / FOLDER)
    model.encoder = adapted
    return model


@pytest.fixture(params=KINDS, ids=[kind.kind for kind in KINDS])
def spec(request: pytest.FixtureRequest) -> AdapterSpec:
    return request.param()


def test_vectors_are_the_adapted_ones(spec: AdapterSpec, tmp_path: Path) -> None:
    folder = write_loud_model(tmp_path / "model")
    plain, adapted = load_model(folder), with_adapter(folder, spec)
    loaded = load_model(folder)
    np.testing.assert_allclose(loaded.encode(TEXTS), adapted.encode(TEXTS), atol=1e-5)
    assert np.abs(loaded.encode(TEXTS) - plain.encode(TEXTS)).max() > 1e-2
    np.testing.assert_allclose(loaded.encode(TEXTS, layers=1), adapted.encode(TEXTS, layers=1), atol=1e-5)
    for model in (loaded, adapted):
        rounded = model.encode(TEXTS, precision="bfloat16")
        assert (rounded * adapted.encode(TEXTS)).sum(axis=1).min() > 0.99
    merges = not adapted.encoder.adapter.cannot_merge
    assert isinstance(loaded.encoder, AdaptedEncoder) != merges
    if merges and torch.ops.mkldnn._is_mkldnn_bf16_supported():
        assert can_be_packed(loaded.encoder), "merged, it is as fast as before"
    assert not can_be_packed(adapted.encoder), "the packed copy would leave the adapter out"


def test_an_export_has_it_in_the_weights_or_refuses(spec: AdapterSpec, tmp_path: Path) -> None:
    folder, out = write_loud_model(tmp_path / "model"), tmp_path / "exported"
    adapted = with_adapter(folder, spec)
    if adapted.encoder.adapter.cannot_merge:
        with pytest.raises(ReknitError, match="stays beside the model") as found:
            export_model(folder, out)
        assert "\n" not in str(found.value)
        assert not out.exists()
        return
    export_model(folder, out)
    assert not (out / FOLDER).exists()
    np.testing.assert_allclose(load_model(out).encode(TEXTS), adapted.encode(TEXTS), atol=1e-5)


def test_a_run_folder_is_looked_into(tmp_path: Path) -> None:
    folder = write_loud_model(tmp_path / "run" / "model")
    adapted = with_adapter(folder, KINDS[0]())
    np.testing.assert_allclose(load_model(tmp_path / "run").encode(TEXTS), adapted.encode(TEXTS), atol=1e-5)


def test_the_real_minilm(tmp_path: Path) -> None:
    import shutil

    folder = Path(shutil.copytree(minilm_folder(), tmp_path / "model"))
    plain, adapted = load_model(folder), with_adapter(folder, KINDS[0](), strength=0.1)
    loaded = load_model(folder)
    np.testing.assert_allclose(loaded.encode(TEXTS), adapted.encode(TEXTS), atol=1e-5)
    assert np.abs(loaded.encode(TEXTS) - plain.encode(TEXTS)).max() > 1e-2
    assert (loaded.encode(TEXTS, precision="bfloat16") * adapted.encode(TEXTS)).sum(axis=1).min() > 0.99
