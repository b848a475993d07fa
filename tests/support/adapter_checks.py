"""The checks that every adapter must pass. Each raises AssertionError and says what it found.

test_planted_bugs.py shows for each check that it fails on the bug it is for.
"""

from __future__ import annotations

import copy
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch
from encoder_samples import VOCABULARY, ragged_view, shake
from torch import Tensor, nn

from reknit.adapters.base import Adapter, AdapterSpec
from reknit.adapters.encoder import AdaptedEncoder
from reknit.adapters.files import attach_saved, save_adapter
from reknit.adapters.places import linears
from reknit.encoders.native.encoder import NativeConfig, NativeEncoder
from reknit.errors import ReknitError

BERT = NativeConfig(vocabulary=VOCABULARY, dim=32, depth=2, heads=4, intermediate=48, max_positions=128)
MODERN = NativeConfig(
    vocabulary=VOCABULARY,
    dim=32,
    depth=2,
    heads=4,
    intermediate=48,
    max_positions=128,
    token_types=0,
    pre_norm=True,
    gated=True,
    rope_thetas=(10_000.0, 10_000.0),
    windows=(None, 4),
    attention_bias=False,
    feed_forward_bias=False,
)
LEAST_EFFECT = 1e-3


def toy_encoder(config: NativeConfig = BERT) -> NativeEncoder:
    """Random weights, biases and norms included, large enough for a mistake to show; in evaluation mode."""
    encoder = NativeEncoder(config)
    shake(encoder)
    return encoder


def output(encoder: nn.Module) -> Tensor:
    """[T, dim] last hidden states of texts of many lengths."""
    with torch.no_grad():
        return encoder(ragged_view()).last


def disturb(adapter: Adapter, strength: float = 1.0) -> None:
    """Every weight becomes another, as training would make it."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in adapter.parameters():
            parameter.add_(0.2 * strength * torch.randn(parameter.shape, generator=generator))


def built(spec: AdapterSpec, encoder: NativeEncoder) -> Adapter:
    torch.manual_seed(0)
    return spec.build(encoder)


def check_no_effect_at_start(spec: AdapterSpec, config: NativeConfig) -> None:
    """A new adapter changes nothing, unless it says why it does; then it does."""
    encoder = toy_encoder(config)
    before, adapter = output(encoder), built(spec, encoder)
    difference = float((output(AdaptedEncoder(encoder, adapter)) - before).abs().max())
    if adapter.changes_at_start:
        assert difference > LEAST_EFFECT, "it says that it changes the output at the start, and does not"
    else:
        assert difference < 1e-6, f"a new adapter changes the output by {difference:.2g}"


def check_every_weight_counts(spec: AdapterSpec, config: NativeConfig) -> None:
    """Once trained, the adapter changes the output, and every weight has a part in it."""
    encoder = toy_encoder(config)
    before, adapter = output(encoder), built(spec, encoder)
    disturb(adapter)
    adapted = AdaptedEncoder(encoder, adapter)
    assert float((output(adapted) - before).abs().max()) > LEAST_EFFECT, "a trained adapter changes nothing"
    direction = torch.randn(BERT.dim, generator=torch.Generator().manual_seed(2))
    (adapted(ragged_view()).last @ direction).pow(2).sum().backward()
    for name, parameter in adapter.named_parameters():
        assert parameter.grad is not None, f"{name} has no gradient"
        assert parameter.grad.abs().sum() > 0, f"{name} has no part in the output"


def check_detach_is_exact(spec: AdapterSpec, config: NativeConfig) -> None:
    """After attaching, a pass of training and detaching, the encoder is what it was, bit by bit."""
    encoder = toy_encoder(config)
    weights, before = copy.deepcopy(encoder.state_dict()), output(encoder)
    trainable = [parameter.requires_grad for parameter in encoder.parameters()]
    adapter = built(spec, encoder)
    disturb(adapter)
    adapted = AdaptedEncoder(encoder, adapter)
    assert list(encoder.state_dict()) == list(weights), "the names of the encoder's weights have changed"
    adapted(ragged_view()).last.sum().backward()
    plain = adapted.detach()
    assert plain is encoder
    after = encoder.state_dict()
    assert list(after) == list(weights), "the names of the encoder's weights have changed"
    assert all(torch.equal(after[name], value) for name, value in weights.items()), "the encoder's weights have changed"
    assert torch.equal(output(encoder), before), "something is still attached"
    assert [parameter.requires_grad for parameter in encoder.parameters()] == trainable, "some weights stay frozen"


def check_merge_equals(spec: AdapterSpec, config: NativeConfig) -> None:
    """Merged, the output is the same in every layer, and nothing is attached; or the adapter says why it cannot be."""
    encoder = toy_encoder(config)
    adapter = built(spec, encoder)
    disturb(adapter)
    adapted = AdaptedEncoder(encoder, adapter)
    if adapter.cannot_merge:
        try:
            adapter.merge_into(toy_encoder(config))
        except ReknitError as error:
            refusal = str(error)
        else:
            raise AssertionError("it says that it cannot be merged, and merges")
        assert adapter.cannot_merge in refusal
        return
    weights = copy.deepcopy(adapted.state_dict())
    merged = adapted.merged()
    assert isinstance(merged, NativeEncoder)
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in merged.modules())
    wanted, found = (one(ragged_view(), layers=[0, 1, 2]).states for one in (adapted, merged))
    for layer in wanted:
        difference = float((found[layer] - wanted[layer]).abs().max().detach())
        assert difference < 1e-4, f"merged, layer {layer} differs by {difference:.2g}"
    after = adapted.state_dict()
    assert all(torch.equal(after[name], value) for name, value in weights.items()), "merging changed the original"
    assert all(parameter.requires_grad for parameter in merged.parameters()), "the merged encoder cannot be trained"


def check_only_its_own_weights_move(spec: AdapterSpec, config: NativeConfig) -> None:
    """A step of the optimiser over all that can be trained moves the adapter, and nothing of the encoder."""
    encoder = toy_encoder(config)
    adapter = built(spec, encoder)
    disturb(adapter)
    adapted = AdaptedEncoder(encoder, adapter)
    before = {name: value.clone() for name, value in adapted.state_dict().items()}
    optimiser = torch.optim.AdamW([one for one in adapted.parameters() if one.requires_grad], lr=0.1)
    adapted.train()
    adapted(ragged_view()).last.pow(2).sum().backward()
    optimiser.step()
    moved = {name for name, value in adapted.state_dict().items() if not torch.equal(value, before[name])}
    own = {f"adapter.{name}" for name, _ in adapter.named_parameters()}
    assert not moved - own, f"weights of the encoder move: {sorted(moved - own)[:3]}"
    assert moved == own, f"weights of the adapter stay: {sorted(own - moved)[:3]}"


def check_files(spec: AdapterSpec, config: NativeConfig, folder: Path) -> None:
    """What is loaded gives the same output bit by bit, and the files hold the weights and little else."""
    encoder = toy_encoder(config)
    adapter = built(spec, encoder)
    disturb(adapter)
    adapted = AdaptedEncoder(encoder, adapter)
    save_adapter(adapted, spec, folder)
    loaded = attach_saved(toy_encoder(config), folder)
    assert torch.equal(output(loaded), output(adapted)), "the loaded adapter is another"
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "model.safetensors"]
    held = sum(value.numel() * value.element_size() for value in adapter.tensors().values())
    size = (folder / "model.safetensors").stat().st_size
    header = int.from_bytes((folder / "model.safetensors").read_bytes()[:8], "little")
    assert size == 8 + header + held, f"the file has {size - 8 - header} bytes of weights, {held} are claimed"
    assert held <= 4 * adapter.trained_weights, "the file holds what was not trained"


def check_count(spec: AdapterSpec, config: NativeConfig) -> None:
    """The fraction that is said to be trained is that of the numbers that can be."""
    encoder = toy_encoder(config)
    whole = sum(value.numel() for value in encoder.state_dict().values())
    adapted = AdaptedEncoder(encoder, built(spec, encoder))
    counted = sum(one.numel() for one in adapted.parameters() if one.requires_grad)
    assert adapted.adapter.trained_weights == counted > 0
    assert adapted.trained_fraction == counted / whole


def check_copies_are_apart(spec: AdapterSpec, config: NativeConfig) -> None:
    """A copy computes the same with weights of its own, and can be detached without the original noticing."""
    adapted = AdaptedEncoder(encoder := toy_encoder(config), built(spec, encoder))
    disturb(adapted.adapter)
    wanted = output(adapted)
    twin = copy.deepcopy(adapted)
    assert torch.equal(output(twin), wanted)
    with torch.no_grad():
        for parameter in twin.adapter.parameters():
            parameter.add_(1.0)
    assert not torch.equal(output(twin), wanted), "the copy's own weights have no part in it"
    twin.detach()
    assert torch.equal(output(adapted), wanted), "the copy is not apart"


def check_threads_are_apart(spec: AdapterSpec, config: NativeConfig) -> None:
    """A pass that another thread's overtakes in the middle gives what it gives alone."""
    encoder = toy_encoder(config)
    places = [encoder.tokens, linears(encoder, "attention_output")[0], linears(encoder, "down")[0]]
    reached, resume, slow = threading.Event(), threading.Event(), threading.local()

    def wait(module: nn.Module, arguments: object) -> None:
        if getattr(slow, "place", None) is module:
            reached.set()
            assert resume.wait(30)

    for place in places:
        place.register_forward_pre_hook(wait)  # before the adapter's own hooks
    adapted = AdaptedEncoder(encoder, built(spec, encoder))
    disturb(adapted.adapter)
    alone = output(adapted)

    def overtaken(place: nn.Module) -> Tensor:
        slow.place = place
        return output(adapted)

    for place in places:
        reached.clear(), resume.clear()
        with ThreadPoolExecutor(1) as thread:
            pending = thread.submit(overtaken, place)
            assert reached.wait(30)
            with torch.no_grad():
                adapted(ragged_view((3, 3)))
            resume.set()
            assert torch.equal(pending.result(), alone), "another thread's pass changes this one's"
