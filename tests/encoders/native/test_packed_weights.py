"""The packed bfloat16 copy computes what the encoder computes, for every family, and follows changed weights."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from reknit.data.attention_rules import Window, bidirectional, causal
from reknit.encoders.attention.packed import AttentionLayout, packed_attention
from reknit.encoders.native.encoder import NativeConfig, NativeEncoder
from reknit.encoders.native.packed_weights import WeightsWatch, can_be_packed, packed_for_inference
from reknit.models.packed_batches import plain_view

BERT = NativeConfig(vocabulary=100, dim=32, depth=2, heads=4, intermediate=64, max_positions=64, token_types=2)
MODERN = NativeConfig(
    vocabulary=100,
    dim=32,
    depth=2,
    heads=4,
    intermediate=64,
    max_positions=64,
    pre_norm=True,
    gated=True,
    rope_thetas=(10_000.0, 10_000.0),
    windows=(None, 4),
    norm_bias=False,
    attention_bias=False,
    feed_forward_bias=False,
)
RELU = NativeConfig(vocabulary=100, dim=32, depth=2, heads=4, intermediate=64, max_positions=64, activation="relu")


def view():
    rng = np.random.default_rng(0)
    return plain_view([rng.integers(0, 100, size) for size in (3, 17, 1, 40)], torch.device("cpu"))


needs_packing = pytest.mark.skipif(
    not torch.ops.mkldnn._is_mkldnn_bf16_supported(), reason="no bfloat16 in this processor"
)


@needs_packing
@pytest.mark.parametrize("config", [BERT, MODERN, RELU], ids=["bert", "modernbert", "relu"])
def test_the_packed_copy_agrees_with_float32(config):
    torch.manual_seed(0)
    encoder = NativeEncoder(config).eval()
    for parameter in encoder.parameters():
        parameter.data += 0.05 * torch.randn_like(parameter)
    twin = packed_for_inference(encoder)
    with torch.inference_mode():
        for layer in (1, 2):
            exact, lean = (one(view(), layers=[layer]).states[layer].float() for one in (encoder, twin))
            assert functional.cosine_similarity(exact, lean, dim=1).min() > 0.999
            assert not torch.equal(exact, lean)


@needs_packing
def test_the_packed_copy_shares_the_tables_and_leaves_the_encoder_as_it_was():
    encoder = NativeEncoder(BERT)
    assert can_be_packed(encoder)
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    twin = packed_for_inference(encoder)
    assert twin.tokens.weight.data_ptr() == encoder.tokens.weight.data_ptr()
    after = encoder.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) and after[name].dtype == torch.float32 for name in before)


def step(encoder):
    optimiser = torch.optim.AdamW((one for one in encoder.parameters() if one.requires_grad), lr=0.1, fused=True)
    encoder(view()).last.sum().backward()
    optimiser.step()


def load(encoder):
    encoder.load_state_dict(NativeEncoder(BERT).state_dict())


def zero(encoder):
    with torch.no_grad():
        encoder.blocks[0].up.weight.zero_()


def average(encoder):
    for parameter in encoder.parameters():
        parameter.data.mul_(0.5)


def assign(encoder):
    encoder.blocks[0].up.weight = torch.nn.Parameter(encoder.blocks[0].up.weight.detach().clone())


@pytest.mark.parametrize("change", [step, load, zero, average, assign])
def test_every_kind_of_change_to_the_weights_is_noticed(change):
    encoder = NativeEncoder(BERT)
    watch = WeightsWatch(encoder)
    assert not watch.changed(encoder)
    change(encoder)
    assert watch.changed(encoder)
    assert watch.changed(encoder), "asking does not make it forget"
    assert not WeightsWatch(encoder).changed(encoder)


def test_vectors_trained_alone_are_noticed():
    """ "BitFit" (Ben Zaken et al. 2022): only biases and norms have gradients."""
    encoder = NativeEncoder(BERT)
    for parameter in encoder.parameters():
        parameter.requires_grad_(parameter.ndim == 1)
    watch = WeightsWatch(encoder)
    step(encoder)
    assert watch.changed(encoder)


def test_weights_made_in_inference_mode_can_be_watched():
    with torch.inference_mode():
        encoder = NativeEncoder(BERT)
    assert not WeightsWatch(encoder).changed(encoder)


def test_nothing_is_packed_for_a_processor_that_cannot(monkeypatch):
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: False)
    assert not can_be_packed(NativeEncoder(BERT))


@pytest.mark.parametrize("rule", [bidirectional, causal, Window(3)])
def test_attention_in_pieces_equals_the_fused_kernel(rule, monkeypatch):
    lengths = torch.tensor([0, 9, 18, 25, 40])
    query, key, value = torch.randn(3, 40, 4, 8, generator=torch.Generator().manual_seed(0))
    exact = packed_attention(query, key, value, AttentionLayout.of(lengths), rule)
    lean = [tensor.bfloat16() for tensor in (query, key, value)]
    fused = packed_attention(*lean, AttentionLayout.of(lengths), rule)
    lean = [tensor.requires_grad_() for tensor in lean]
    at_once = packed_attention(*lean, AttentionLayout.of(lengths), rule)
    monkeypatch.setattr("reknit.encoders.attention.explicit.CACHED_SCORES", 4 * 16 * 16)
    in_pieces = packed_attention(*lean, AttentionLayout.of(lengths), rule)
    assert torch.equal(in_pieces, at_once)
    assert not torch.equal(at_once, fused)  # so both ways were taken
    for found in (fused, at_once):
        torch.testing.assert_close(found.float(), exact, atol=0.03, rtol=0.03)
