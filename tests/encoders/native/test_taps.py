"""Taps show what a block computes, and what is put in its place has its effect."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from encoder_samples import VOCABULARY, ragged_view, shake
from torch import Tensor
from torch.nn import functional

from reknit.encoders.attention.layout import AttentionLayout
from reknit.encoders.attention.packed import packed_self_attention
from reknit.encoders.huggingface.loading import HuggingFaceEncoder
from reknit.encoders.native.packed_weights import can_be_packed, packed_for_inference
from reknit.encoders.native.taps import TapName, tapped
from reknit.encoders.spec import TextEncoderSpec
from reknit.errors import ReknitError

PLACES: tuple[TapName, ...] = ("heads", "mlp_in", "mlp_out", "states")


@pytest.fixture(params=["bert", "modernbert"])
def encoder(request: pytest.FixtureRequest) -> HuggingFaceEncoder:
    torch.manual_seed(0)
    return shake(TextEncoderSpec(family=request.param, dim=32, depth=3, heads=4, intermediate=48).build(VOCABULARY))


def read(encoder: HuggingFaceEncoder, layer: int) -> dict[str, Tensor]:
    seen: dict[str, Tensor] = {}

    def keep(name: str, values: Tensor) -> None:
        seen[name] = values

    with torch.no_grad(), tapped(encoder, {(layer, name): partial(keep, name) for name in PLACES}):
        seen["last"] = encoder(ragged_view()).last
    return seen


def test_reading_changes_nothing_and_ends_with_the_context(encoder: HuggingFaceEncoder) -> None:
    seen = read(encoder, 1)
    with torch.no_grad():
        assert torch.equal(encoder(ragged_view()).last, seen["last"])
    before = seen["heads"].clone()
    with torch.no_grad():
        encoder(ragged_view(seed=3))
    assert torch.equal(seen["heads"], before)
    assert seen["heads"].shape == (ragged_view().tokens.numel(), 4, 8)


def test_the_places_are_where_their_names_say(encoder: HuggingFaceEncoder) -> None:
    seen, block = read(encoder, 1), encoder.blocks[1]
    with torch.no_grad():
        states = encoder(ragged_view(), layers=[2]).last
        torch.testing.assert_close(encoder.final_norm(seen["states"]), states)
        widened = block.up(seen["mlp_in"])
        if block.gated:
            values, gate = widened.chunk(2, dim=-1)
            widened = functional.gelu(values) * gate
        else:
            widened = functional.gelu(widened)
        torch.testing.assert_close(block.down(widened), seen["mlp_out"])
        if block.gated:
            return
        previous = encoder(ragged_view(), layers=[1]).last
        projected = block.query_key_value(previous).view(len(previous), 3, 4, 8)
        layout = AttentionLayout.of(ragged_view().cu_seqlens)
        torch.testing.assert_close(packed_self_attention(projected, layout), seen["heads"])


def test_a_head_that_is_put_out_is_one_without_weights(encoder: HuggingFaceEncoder) -> None:
    def without_second(heads: Tensor) -> Tensor:
        return heads.index_fill(1, torch.tensor([1]), 0.0)

    with torch.no_grad():
        whole = encoder(ragged_view()).last
        with tapped(encoder, {(2, "heads"): without_second}):
            found = encoder(ragged_view()).last
        encoder.blocks[2].attention_output.weight[:, 8:16] = 0.0
        torch.testing.assert_close(found, encoder(ragged_view()).last)
    assert not torch.allclose(found, whole)


def test_what_is_put_in_place_of_a_state_is_what_goes_on(encoder: HuggingFaceEncoder) -> None:
    with torch.no_grad():
        other = encoder(ragged_view(seed=5)).last
        inner = read_states(encoder, 5)
        with tapped(encoder, {(1, "states"): lambda _: inner}):
            found = encoder(ragged_view()).last
    torch.testing.assert_close(found, other)


def read_states(encoder: HuggingFaceEncoder, seed: int) -> Tensor:
    seen: list[Tensor] = []
    with tapped(encoder, {(1, "states"): seen.append}):
        encoder(ragged_view(seed=seed))
    return seen[0]


def test_gradients_flow_through_what_is_replaced(encoder: HuggingFaceEncoder) -> None:
    scale = torch.ones((), requires_grad=True)
    with tapped(encoder, {(0, "mlp_out"): lambda values: values * scale}):
        encoder(ragged_view()).last.square().sum().backward()
    assert scale.grad is not None
    assert float(scale.grad.abs()) > 0


def test_an_error_within_leaves_no_hook(encoder: HuggingFaceEncoder) -> None:
    with torch.no_grad():
        before = encoder(ragged_view()).last
        with pytest.raises(ZeroDivisionError), tapped(encoder, {(0, "mlp_in"): torch.zeros_like}):
            raise ZeroDivisionError
        assert torch.equal(encoder(ragged_view()).last, before)


def test_places_that_are_not_there(encoder: HuggingFaceEncoder) -> None:
    with (
        pytest.raises(ReknitError, match="no block 3: the encoder has blocks 0 to 2"),
        tapped(encoder, {(3, "heads"): torch.zeros_like}),
    ):
        pass
    with (
        pytest.raises(ReknitError, match="no place 'gate'; it has heads, mlp_in"),
        tapped(encoder, {(0, "heads"): torch.zeros_like, (0, "gate"): torch.zeros_like}),
    ):
        pass
    assert not encoder.blocks[0].attention_output._forward_pre_hooks


def test_the_packed_copy_has_the_places_too(encoder: HuggingFaceEncoder) -> None:
    if not can_be_packed(encoder):
        pytest.skip("no bfloat16 in this processor")
    exact, lean = read(encoder, 1), read(packed_for_inference(encoder), 1)
    for name in ("heads", "mlp_in", "mlp_out", "states"):
        assert functional.cosine_similarity(exact[name].flatten(1), lean[name].float().flatten(1)).min() > 0.99
