"""Adapter folders that are damaged, or lie beside another model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from adapter_checks import BERT, MODERN, disturb, output, toy_encoder

from reknit.adapters.encoder import AdaptedEncoder, attach
from reknit.adapters.files import attach_saved, fingerprint, save_adapter, with_saved
from reknit.adapters.low_rank import LoRASpec
from reknit.adapters.mixed import MixAndMatchSpec
from reknit.adapters.prefix import PrefixSpec
from reknit.encoders.native.encoder import NativeEncoder
from reknit.errors import ReknitError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    adapted = attach(toy_encoder(), LoRASpec())
    disturb(adapted.adapter)
    save_adapter(adapted, LoRASpec(), tmp_path)
    return tmp_path


def change(folder: Path, **changes: object) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_merged_where_it_can_be_and_attached_where_not(folder: Path, tmp_path: Path) -> None:
    loaded = with_saved(toy_encoder(), folder)
    assert isinstance(loaded, NativeEncoder)
    torch.testing.assert_close(output(loaded), output(attach_saved(toy_encoder(), folder)), atol=1e-5, rtol=1e-5)
    assert not torch.equal(output(loaded), output(toy_encoder()))
    spec = MixAndMatchSpec(prefix=PrefixSpec(length=3))
    adapted = attach(toy_encoder(), spec)
    disturb(adapted.adapter)
    save_adapter(adapted, spec, folder)
    again = with_saved(toy_encoder(), folder)
    assert isinstance(again, AdaptedEncoder)
    assert torch.equal(output(again), output(adapted))
    assert not again.training


def test_loading_leaves_the_random_numbers_as_they_are(folder: Path) -> None:
    encoder = toy_encoder()
    state = torch.get_rng_state()
    attach_saved(encoder, folder)
    assert torch.equal(torch.get_rng_state(), state)


def test_another_encoder_is_told(folder: Path) -> None:
    encoder = toy_encoder()
    with torch.no_grad():
        encoder.blocks[1].down.weight[0, 0] += 1e-3
    for other in (encoder, toy_encoder(MODERN), NativeEncoder(BERT)):
        with pytest.raises(ReknitError, match="trained on another model"):
            attach_saved(other, folder)
    assert fingerprint(toy_encoder()) == fingerprint(toy_encoder())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": "magic"}, "of kind 'magic'; this version reads lora, "),
        ({"settings": {"rank": 8, "depth": 2}}, "damaged"),
        ({"settings": None}, "damaged"),
        ({"settings": {"rank": "8"}}, "damaged"),
        ({"settings": {"rank": 4}}, "the weights do not fit config.json"),
        ({"settings": {"rank": 0}}, "rank is 0"),
    ],
)
def test_a_damaged_description(folder: Path, changes: dict, message: str) -> None:
    change(folder, **changes)
    with pytest.raises(ReknitError, match=message) as found:
        attach_saved(toy_encoder(), folder)
    assert "\n" not in str(found.value)


def test_damaged_files(folder: Path) -> None:
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:100])
    with pytest.raises(ReknitError, match="is damaged"):
        attach_saved(toy_encoder(), folder)
    weights.unlink()
    with pytest.raises(ReknitError, match="there are no weights to load"):
        attach_saved(toy_encoder(), folder)
    (folder / "config.json").write_text("{")
    with pytest.raises(ReknitError, match="cannot be read as JSON"):
        attach_saved(toy_encoder(), folder)
