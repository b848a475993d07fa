"""Encoders that transformers has no class for: a folder that reknit loads back, and that nobody mistakes for BERT's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, get_args

import pytest
import torch
from encoder_samples import ragged_view, shake
from safetensors.torch import save_file

from reknit.encoders.huggingface.loading import HuggingFaceEncoder, load_encoder, native_state_to_hf
from reknit.encoders.mixers.named import MixerName
from reknit.encoders.spec import TextEncoderSpec
from reknit.errors import ReknitError

SHAPE = TextEncoderSpec(dim=32, depth=3, heads=4, intermediate=48, max_positions=128)


def own_encoder(mixer: str) -> HuggingFaceEncoder:
    torch.manual_seed(0)
    source = SHAPE.build(99).source | {"model_type": "reknit", "family": "bert", "mixer": mixer}
    return shake(HuggingFaceEncoder(source))


def write(folder: Path, config: dict[str, Any], tensors: dict[str, torch.Tensor]) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


@pytest.mark.parametrize("layers", [None, 2])
@pytest.mark.parametrize("mixer", get_args(MixerName))
def test_a_folder_loads_back(mixer: str, layers: int | None, tmp_path: Path) -> None:
    encoder = own_encoder(mixer)
    config, tensors = native_state_to_hf(encoder, layers)
    assert (config["model_type"], config["architectures"]) == ("reknit", ["ReknitEncoder"])
    loaded = load_encoder(write(tmp_path, config, tensors))
    assert type(loaded.blocks[0].mixer) is type(encoder.blocks[0].mixer)
    with torch.no_grad():
        assert torch.equal(loaded(ragged_view()).last, encoder(ragged_view(), layers=[layers or 3]).last)


def test_transformers_refuses_it(tmp_path: Path) -> None:
    from transformers import AutoModel

    write(tmp_path, *native_state_to_hf(own_encoder("attention")))
    with pytest.raises(ValueError, match="reknit"):
        AutoModel.from_pretrained(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mixer": None}, "must name its family and its mixer"),
        ({"family": "reknit"}, "must name its family and its mixer"),
        ({"mixer": "wind"}, "there is no mixer 'wind'; use one of attention"),
    ],
)
def test_a_broken_config(change: dict[str, Any], message: str, tmp_path: Path) -> None:
    config, tensors = native_state_to_hf(own_encoder("attention"))
    with pytest.raises(ReknitError, match=message):
        load_encoder(write(tmp_path, config | change, tensors))
