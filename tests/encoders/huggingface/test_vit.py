"""Vision transformers against transformers' own, in both directions."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from encoder_samples import shake
from safetensors.torch import load_file, save_file

from reknit.data.batch import View
from reknit.data.images.patches import picture_batch
from reknit.encoders.huggingface.loading import HuggingFaceEncoder, load_encoder, native_state_to_hf
from reknit.encoders.picture_spec import PictureEncoderSpec
from reknit.errors import ReknitError
from reknit.jobs.quiet import quiet_libraries

SPEC = PictureEncoderSpec(dim=32, depth=3, heads=4, intermediate=48, picture=12, patch=4)


def pictures(number: int = 3, size: int = 12) -> torch.Tensor:
    return torch.randn(number, 3, size, size, generator=torch.Generator().manual_seed(0))


def states(encoder: HuggingFaceEncoder, layer: int | None = None) -> torch.Tensor:
    """[pictures, 1 + patches, dim]"""
    with torch.no_grad():
        view = View.clean(picture_batch(pictures(), 4))
        return encoder(view, layers=None if layer is None else [layer]).last.unflatten(0, (3, -1))


def write(folder: Path, config: dict[str, Any], tensors: dict[str, torch.Tensor]) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    save_file({name: value.contiguous() for name, value in tensors.items()}, folder / "model.safetensors")
    return folder


def theirs(folder: Path, mask: bool = False) -> Any:
    from transformers import ViTModel

    with quiet_libraries():
        model, info = ViTModel.from_pretrained(folder, output_loading_info=True, use_mask_token=mask)
    assert not info["missing_keys"]
    return model.eval()


def test_a_fresh_encoder_is_one_in_transformers_and_loads_back(tmp_path: Path) -> None:
    torch.manual_seed(0)
    encoder = shake(SPEC.build())
    for layers in (None, 2):
        folder = write(tmp_path / f"{layers}", *native_state_to_hf(encoder, layers))
        with torch.no_grad():
            expected = theirs(folder)(pictures()).last_hidden_state
        assert (states(encoder, layers) - expected).abs().max() < 1e-4
        assert torch.equal(states(load_encoder(folder)), states(encoder, layers))


def test_a_folder_of_transformers_is_read(tmp_path: Path) -> None:
    from transformers import ViTConfig, ViTModel

    shape = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48}
    model = shake(ViTModel(ViTConfig(**shape, image_size=12, patch_size=4), add_pooling_layer=False))
    with quiet_libraries():
        model.save_pretrained(tmp_path)
    encoder = load_encoder(tmp_path)
    with torch.no_grad():
        output = model(pictures(), output_hidden_states=True)
    assert (states(encoder) - output.last_hidden_state).abs().max() < 1e-4
    assert (states(encoder, 0) - output.hidden_states[0]).abs().max() < 1e-5
    assert not encoder.stem.mask.any()


def test_masked_patches_are_those_of_transformers(tmp_path: Path) -> None:
    """ViTForMaskedImageModeling is SimMIM in transformers: the same masks give the same states."""
    torch.manual_seed(0)
    encoder = shake(SPEC.build())
    model = theirs(write(tmp_path, *native_state_to_hf(encoder)), mask=True)
    masked = torch.rand(3, 9, generator=torch.Generator().manual_seed(1)) < 0.5
    view = View.clean(picture_batch(pictures(), 4))
    hidden = torch.zeros(3, 10, dtype=torch.bool)
    hidden[:, 1:] = masked
    with torch.no_grad():
        expected = model(pictures(), bool_masked_pos=masked).last_hidden_state
        found = encoder(replace(view, masked=hidden.flatten())).last.unflatten(0, (3, -1))
    assert (found - expected).abs().max() < 1e-4
    assert (found - states(encoder)).abs().max() > 1e-2


def test_broken_folders(tmp_path: Path) -> None:
    config, tensors = native_state_to_hf(SPEC.build())
    for change, message in (
        ({"patch_size": 5}, "patches of 5 pixels do not fill pictures of 12"),
        ({"image_size": [12, 8]}, r"image_size is \[12, 8\]; only squares"),
        ({"qkv_bias": False}, "a ViT without qkv_bias"),
        ({"image_size": 16}, "embeddings.position_embeddings gives shape"),
    ):
        with pytest.raises(ReknitError, match=message):
            load_encoder(write(tmp_path, config | change, tensors))
    with pytest.raises(ReknitError, match=r"no tensor layernorm\.weight"):
        load_encoder(write(tmp_path, config, {k: v for k, v in tensors.items() if k != "layernorm.weight"}))
    assert set(load_file(write(tmp_path, config, tensors) / "model.safetensors")) == set(tensors)


def test_shapes_that_cannot_be() -> None:
    with pytest.raises(ReknitError, match=r"encoder\.picture is 30 pixels, which patches of 4 do not fill"):
        replace(SPEC, picture=30).check()
    with pytest.raises(ReknitError, match="not a multiple of the number of heads 3"):
        replace(SPEC, heads=3).check()
    SPEC.check()
