"""What is wrong with a model folder is said in one line."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from encoder_samples import ragged_view, saved_family

from reknit.data.attention_rules import causal
from reknit.encoders.huggingface.automodel import AutoModelEncoder
from reknit.encoders.huggingface.loading import load_encoder
from reknit.errors import ReknitError
from reknit.jobs.quiet import quiet_libraries


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("good")
    saved_family("bert", folder)
    return folder


def edit_config(**changes: object) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        config = json.loads((folder / "config.json").read_text()) | changes
        (folder / "config.json").write_text(json.dumps(config))

    return change


def pickle_only(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(b"never opened")


def rename_tensors(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    tensors = load_file(folder / "model.safetensors")
    kept = {name: value for name, value in tensors.items() if "layer.1.output.dense" not in name}
    save_file(kept, folder / "model.safetensors")


def lone_index(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"x": "part-1.safetensors"}}))


BREAKS: dict[str, tuple[Callable[[Path], object], str]] = {
    "no config": (lambda f: (f / "config.json").unlink(), "has no config.json"),
    "broken config": (lambda f: (f / "config.json").write_text("{'a'"), "cannot be read as JSON"),
    "list as config": (lambda f: (f / "config.json").write_text("[1]"), "must hold a JSON object"),
    "no model type": (edit_config(model_type=None), "names no model_type"),
    "no width": (edit_config(hidden_size=None), "'hidden_size' must be a number, found None"),
    "width as text": (edit_config(hidden_size="32"), "'hidden_size' must be a number, found '32'"),
    "relative positions": (edit_config(position_embedding_type="relative_key"), "'relative_key' is not supported"),
    "odd activation": (edit_config(hidden_act="mish"), "activation 'mish' is not supported"),
    "other width": (edit_config(hidden_size=64), "do not belong together"),
    "other vocabulary": (edit_config(vocab_size=7), "do not belong together"),
    "no weights": (lambda f: (f / "model.safetensors").unlink(), "there are no weights to load"),
    "pickle": (pickle_only, "only as pytorch_model.bin, a format that can run code"),
    "damaged": (lambda f: (f / "model.safetensors").write_bytes(b"\0" * 100), "is damaged"),
    "cut off": (
        lambda f: (f / "model.safetensors").write_bytes((f / "model.safetensors").read_bytes()[:9000]),
        "damaged",
    ),
    "missing tensor": (rename_tensors, r"no tensor encoder.layer.1.output.dense.weight"),
    "missing shard": (lone_index, "incomplete: part-1.safetensors"),
    "wrong family": (edit_config(model_type="modernbert"), "the weights are not a ModernBertModel"),
    "unknown family": (edit_config(model_type="no-such-model"), "transformers cannot load this model"),
}


@pytest.mark.parametrize("name", list(BREAKS))
def test_one_clear_line(name: str, good: Path, tmp_path: Path) -> None:
    damage, message = BREAKS[name]
    folder = tmp_path / "model"
    shutil.copytree(good, folder)
    damage(folder)
    with pytest.raises(ReknitError, match=message) as caught:
        load_encoder(folder)
    assert "\n" not in str(caught.value)


def test_paths_that_are_no_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(ReknitError, match="is a file"):
        load_encoder(tmp_path / "file")
    with pytest.raises(ReknitError, match="does not exist"):
        load_encoder(tmp_path / "absent")
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(ReknitError, match="no-owner/no-model is neither a local folder nor"):
        load_encoder("no-owner/no-model")


def test_other_architectures_run_through_transformers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from transformers import MPNetConfig, MPNetModel

    torch.manual_seed(0)
    shape = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48}
    model = MPNetModel(MPNetConfig(vocab_size=99, max_position_embeddings=130, **shape)).eval()
    with quiet_libraries():
        model.save_pretrained(tmp_path)
    encoder = load_encoder(tmp_path)
    assert isinstance(encoder, AutoModelEncoder)
    assert "mpnet models have no native encoder" in capsys.readouterr().err
    assert (encoder.dim, encoder.depth, encoder.table.shape) == (32, 2, (99, 32))
    view = ragged_view()
    with torch.no_grad():
        encoded = encoder(view, layers=[0, 1, 2])
        for start, stop in zip(view.cu_seqlens.tolist(), view.cu_seqlens.tolist()[1:], strict=False):
            alone = model(view.tokens[None, start:stop], output_hidden_states=True)
            for layer in range(3):
                torch.testing.assert_close(
                    encoded.states[layer][start:stop], alone.hidden_states[layer][0], atol=1e-5, rtol=1e-4
                )
        torch.testing.assert_close(encoder.embed(view.tokens, encoded.positions), encoded.states[0])
    with pytest.raises(ReknitError, match="cannot restrict attention"):
        encoder(ragged_view(rule=causal))
    with pytest.raises(ReknitError, match="layers 0 to 2"):
        encoder(view, layers=[3])


def test_encoder_decoders_and_remote_code_are_refused(good: Path, tmp_path: Path) -> None:
    from transformers import T5Config, T5Model

    shape = {"vocab_size": 20, "d_model": 8, "d_kv": 4, "d_ff": 8, "num_layers": 1, "num_heads": 2}
    with quiet_libraries():
        T5Model(T5Config(**shape)).save_pretrained(tmp_path / "t5")
    with pytest.raises(ReknitError, match="encoder-decoder"):
        load_encoder(tmp_path / "t5")
    folder = tmp_path / "remote"
    shutil.copytree(good, folder)
    edit_config(model_type="own-model", auto_map={"AutoModel": "code.Model", "AutoConfig": "code.Config"})(folder)
    (folder / "code.py").write_text("raise SystemExit('remote code was run')")
    with pytest.raises(ReknitError, match="transformers cannot load this model"):
        load_encoder(folder)
