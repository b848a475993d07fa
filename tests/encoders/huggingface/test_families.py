"""Every native family against transformers, in both directions."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from encoder_samples import FAMILY_NAMES, family_config, family_model, one_by_one, ragged_view, saved_family, shake

from reknit.data.batch import View
from reknit.encoders.huggingface.loading import HuggingFaceEncoder, load_encoder, native_state_to_hf
from reknit.encoders.spec import TextEncoderSpec
from reknit.errors import ReknitError
from reknit.jobs.quiet import quiet_libraries

TOLERANCE = 1e-4


def largest_difference(encoder: Any, model: Any, view: View, layer: int | None = None) -> float:
    """Packed reknit against transformers, one text at a time; `layer` counts hidden states."""
    worst = 0.0
    with torch.no_grad():
        mine = encoder(view, layers=None if layer is None else [layer]).last
        for start, stop, tokens in one_by_one(view):
            output = model(tokens[None], attention_mask=torch.ones_like(tokens)[None], output_hidden_states=True)
            theirs = output.last_hidden_state[0] if layer is None else output.hidden_states[layer][0]
            worst = max(worst, (mine[start:stop] - theirs).abs().max().item())
    return worst


def load_in_transformers(folder: Path) -> Any:
    from transformers import AutoModel

    with quiet_libraries():
        model, info = AutoModel.from_pretrained(folder, output_loading_info=True)
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]
    return model.eval()


def write(folder: Path, config: dict[str, Any], tensors: dict[str, torch.Tensor], name: str = "model") -> Path:
    from safetensors.torch import save_file

    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    save_file(tensors, folder / f"{name}.safetensors", metadata={"format": "pt"})
    return folder


@pytest.mark.parametrize("name", FAMILY_NAMES)
def test_same_states_and_back_again(name: str, tmp_path: Path) -> None:
    model = saved_family(name, tmp_path / "theirs")
    encoder = load_encoder(tmp_path / "theirs").eval()
    assert isinstance(encoder, HuggingFaceEncoder)
    view = ragged_view()
    assert largest_difference(encoder, model, view) < TOLERANCE
    for layer in range(encoder.depth):
        if name != "modernbert" or layer == 0:  # transformers reports its inner states without the final norm
            assert largest_difference(encoder, model, view, layer) < TOLERANCE

    original = json.loads((tmp_path / "theirs" / "config.json").read_text())
    config, tensors = native_state_to_hf(encoder)
    assert config == original | {"dtype": "float32"}
    assert largest_difference(encoder, load_in_transformers(write(tmp_path / "mine", config, tensors)), view) < 1e-5


@pytest.mark.parametrize("name", ["bert", "roberta"])
def test_a_decoder_sees_what_came_before_only(name: str, tmp_path: Path) -> None:
    model = saved_family(name, tmp_path / "theirs", is_decoder=True)
    encoder = load_encoder(tmp_path / "theirs").eval()
    view = ragged_view()
    assert largest_difference(encoder, model, view) < TOLERANCE
    with torch.no_grad():
        before = encoder(view).last
        other = encoder(replace(view, tokens=torch.where(torch.arange(view.tokens.numel()) == 40, 7, view.tokens))).last
    # Token 40 is within the third sequence, which is tokens 6 to 45.
    changed = (before - other).abs().amax(dim=1) > 1e-6
    assert changed.tolist() == [40 <= token < 46 for token in range(view.tokens.numel())]
    config, tensors = native_state_to_hf(encoder)
    assert config["is_decoder"]
    assert largest_difference(encoder, load_in_transformers(write(tmp_path / "mine", config, tensors)), view) < 1e-5


def test_a_fresh_causal_encoder_is_one_in_transformers_too(tmp_path: Path) -> None:
    shape = TextEncoderSpec(dim=32, depth=2, heads=4, intermediate=48, max_positions=128, attention="causal")
    encoder = shake(shape.build(99))
    config, tensors = native_state_to_hf(encoder)
    assert (
        largest_difference(encoder, load_in_transformers(write(tmp_path, config, tensors)), ragged_view()) < TOLERANCE
    )
    with pytest.raises(ReknitError, match="modernbert looks both ways"):
        replace(shape, family="modernbert").build(99)


@pytest.mark.parametrize("name", ["bert", "distilbert", "modernbert"])
def test_a_cut_model_is_the_early_exit(name: str, tmp_path: Path) -> None:
    saved_family(name, tmp_path / "theirs")
    encoder = load_encoder(tmp_path / "theirs").eval()
    config, tensors = native_state_to_hf(encoder, layers=2)
    cut = load_in_transformers(write(tmp_path / "cut", config, tensors))
    view = ragged_view()
    with torch.no_grad():
        early = encoder(view, layers=[2]).last
        for start, stop, tokens in one_by_one(view):
            theirs = cut(tokens[None], attention_mask=torch.ones_like(tokens)[None]).last_hidden_state[0]
            assert (early[start:stop] - theirs).abs().max() < TOLERANCE
    assert largest_difference(load_encoder(tmp_path / "cut"), cut, view) < TOLERANCE
    for wrong in (0, 9):
        with pytest.raises(ReknitError, match=f"cannot keep {wrong} layers"):
            native_state_to_hf(encoder, layers=wrong)


@pytest.mark.parametrize("activation", ["gelu", "gelu_new", "gelu_pytorch_tanh", "relu", "silu"])
def test_activations(activation: str, tmp_path: Path) -> None:
    model = saved_family("bert", tmp_path, hidden_act=activation, num_hidden_layers=1)
    assert largest_difference(load_encoder(tmp_path), model, ragged_view()) < 1e-5


def test_planted_bug_a_wrong_activation_is_caught(tmp_path: Path) -> None:
    model = saved_family("bert", tmp_path, num_hidden_layers=1)
    config = json.loads((tmp_path / "config.json").read_text()) | {"hidden_act": "gelu_new"}
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert largest_difference(load_encoder(tmp_path), model, ragged_view()) > TOLERANCE


@pytest.mark.parametrize("name", ["bert", "roberta", "distilbert", "modernbert"])
def test_checkpoints_with_a_head_and_a_prefix(name: str, tmp_path: Path) -> None:
    from transformers import AutoModelForMaskedLM

    model = shake(AutoModelForMaskedLM.from_config(family_config(name)))
    with quiet_libraries():
        model.save_pretrained(tmp_path)
    encoder = load_encoder(tmp_path)
    assert largest_difference(encoder, model.base_model, ragged_view()) < TOLERANCE
    config, tensors = native_state_to_hf(encoder)
    assert config["architectures"] == [type(model.base_model).__name__]
    assert not any("cls" in tensor or "head" in tensor for tensor in tensors)


def test_shards_old_norm_names_and_half_precision(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    model = family_model("bert")
    tensors = {
        "bert." + name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): value
        for name, value in model.half().state_dict().items()
    }
    names = sorted(tensors)
    shards = {"a.safetensors": names[::2], "b.safetensors": names[1::2]}
    for file, part in shards.items():
        save_file({name: tensors[name].contiguous() for name in part}, tmp_path / file)
    index = {"weight_map": {name: file for file, part in shards.items() for name in part}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    (tmp_path / "config.json").write_text(json.dumps(model.config.to_dict() | {"torch_dtype": "float16"}))
    encoder = load_encoder(tmp_path)
    assert encoder.table.dtype == torch.float32
    assert largest_difference(encoder, model.float(), ragged_view()) < TOLERANCE
    config, saved = native_state_to_hf(encoder)
    assert config["dtype"] == "float32"
    assert "torch_dtype" not in config
    assert {tensor.dtype for tensor in saved.values()} == {torch.float32}


def test_modernbert_settings_of_transformers_4(tmp_path: Path) -> None:
    """Folders on the hub name the rotary bases and the pattern of layers in fields of their own."""
    model = saved_family("modernbert", tmp_path, num_hidden_layers=5)
    assert largest_difference(load_encoder(tmp_path), model, ragged_view()) < TOLERANCE
    config = json.loads((tmp_path / "config.json").read_text())
    for new in ("layer_types", "rope_parameters"):
        config.pop(new, None)
    old = config | {"global_rope_theta": 500.0, "local_rope_theta": 90.0, "global_attn_every_n_layers": 2}
    (tmp_path / "config.json").write_text(json.dumps(old))
    encoder = load_encoder(tmp_path)
    assert isinstance(encoder, HuggingFaceEncoder)
    assert encoder.config.windows == (None, 8, None, 8, None)
    assert encoder.config.rope_thetas == (500.0, 90.0, 500.0, 90.0, 500.0)
    assert largest_difference(encoder, load_in_transformers(tmp_path), ragged_view()) < TOLERANCE


@pytest.mark.parametrize("family", ["bert", "modernbert"])
def test_fresh_encoders_load_in_transformers(family: str, tmp_path: Path) -> None:
    spec = TextEncoderSpec(family=family, dim=32, depth=4, heads=4, intermediate=48, max_positions=128)
    encoder = shake(spec.build(99))
    encoder.set_dropout(0.0)
    view = ragged_view()
    for layers in (None, 2):
        config, tensors = native_state_to_hf(encoder, layers)
        model = load_in_transformers(write(tmp_path / f"{layers}", config, tensors))
        reloaded = load_encoder(tmp_path / f"{layers}")
        assert largest_difference(reloaded, model, view) < TOLERANCE
        with torch.no_grad():
            torch.testing.assert_close(reloaded(view).last, encoder(view, layers=[layers or 4]).last)


def test_a_grown_vocabulary_is_written(tmp_path: Path) -> None:
    saved_family("bert", tmp_path)
    encoder = load_encoder(tmp_path)
    assert isinstance(encoder, HuggingFaceEncoder)
    encoder.tokens = torch.nn.Embedding(120, 32)
    config, tensors = native_state_to_hf(encoder)
    assert config["vocab_size"] == 120
    load_in_transformers(write(tmp_path / "grown", config, tensors))
