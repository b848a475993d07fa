"""Trained poolings against a twin written with loops, beside other neighbours, and where they must refuse."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from encoder_samples import SENTENCES, VOCABULARY, ragged_view, shake, small_tokenizer
from torch import Tensor, nn
from torch.nn import functional

from reknit.data.batch import positions_of
from reknit.encoders.base import Encoded
from reknit.encoders.huggingface.loading import HuggingFaceEncoder
from reknit.encoders.native.packed_weights import can_be_packed, packed_for_inference
from reknit.encoders.pooling import pool
from reknit.encoders.pooling_modes import TRAINED_POOLINGS
from reknit.encoders.spec import TextEncoderSpec
from reknit.encoders.trained_pooling import TrainedPooling
from reknit.errors import ReknitError
from reknit.models.embedding_model import EmbeddingModel
from reknit.training.budget import count_flops

DIM, DEPTH, LATENTS, HEADS = 16, 3, 5, 2
# Several buckets (more than 512 slots with too much padding), and sequences without tokens.
LENGTHS = (3, 0, 400, 1, 190, 7, 0, 180, 60)
every_kind = pytest.mark.parametrize("kind", TRAINED_POOLINGS)


def pooling(kind: str) -> TrainedPooling:
    made = TrainedPooling(kind, DIM, DEPTH, latents=LATENTS, heads=HEADS)
    shake(made)
    return made


def states(lengths: tuple[int, ...] = LENGTHS) -> tuple[dict[int, Tensor], Tensor]:
    generator = torch.Generator().manual_seed(1)
    hidden = {layer: torch.randn(sum(lengths), DIM, generator=generator) for layer in range(DEPTH + 1)}
    return hidden, torch.tensor([0, *lengths]).cumsum(0)


def naive(made: TrainedPooling, layers: list[Tensor]) -> Tensor:
    """[dim] of one text, given its tokens in each layer from 1 on: one query, one head at a time."""
    if layers[0].shape[0] == 0:
        return torch.zeros(DIM)
    if made.kind == "layer-attention":
        looked_at = torch.stack([tokens.mean(0) + made.layers[n] for n, tokens in enumerate(layers)])
    else:
        looked_at = layers[-1]
    latents, looked_at_norm, latents_norm = made.latents, made.state_norm(looked_at), made.latent_norm(made.latents)
    asking, asking_norm, asked_norm = latents, latents_norm, looked_at_norm
    if made.kind == "latent-attention":
        asking, asking_norm, asked_norm = looked_at, looked_at_norm, latents_norm
    key_weight, value_weight = made.key_value.weight[:DIM], made.key_value.weight[DIM:]
    width = DIM // HEADS
    results = []
    for row in range(asking.shape[0]):
        by_head = []
        for head in range(HEADS):
            part = slice(head * width, (head + 1) * width)
            query = made.query.weight[part] @ asking_norm[row]
            scores = [float(query @ (key_weight[part] @ asked)) / math.sqrt(width) for asked in asked_norm]
            weights = [math.exp(score - max(scores)) for score in scores]
            values = [value_weight[part] @ asked for asked in asked_norm]
            by_head.append(sum(w / sum(weights) * v for w, v in zip(weights, values, strict=True)))
        state = asking[row] + made.attention_output.weight @ torch.cat(by_head)
        normed = made.feed_forward_norm(state)
        widened = made.up.weight @ normed + made.up.bias
        gated = widened[: 4 * DIM] * functional.gelu(widened[4 * DIM :])
        results.append(state + made.down.weight @ gated + made.down.bias)
    return torch.stack(results).mean(0)


@every_kind
def test_equals_a_loop(kind: str) -> None:
    made, (hidden, cu_seqlens) = pooling(kind), states()
    with torch.no_grad():
        found = made(hidden, cu_seqlens)
        for row, (start, stop) in enumerate(zip(cu_seqlens.tolist(), cu_seqlens.tolist()[1:], strict=False)):
            expected = naive(made, [hidden[layer][start:stop] for layer in range(1, DEPTH + 1)])
            torch.testing.assert_close(found[row], expected, atol=2e-5, rtol=1e-4)
    assert found.dtype == torch.float32
    assert torch.equal(found[[1, 6]], torch.zeros(2, DIM))
    assert torch.equal(
        made({layer: one[:0] for layer, one in hidden.items()}, torch.zeros(3).long()), torch.zeros(2, DIM)
    )


@every_kind
def test_a_text_does_not_depend_on_its_neighbours(kind: str) -> None:
    made, (hidden, cu_seqlens) = pooling(kind), states()
    start, stop = cu_seqlens[4:6].tolist()
    with torch.no_grad():
        together = made(hidden, cu_seqlens)
        alone = made({n: one[start:stop] for n, one in hidden.items()}, torch.tensor([0, stop - start]))
        torch.testing.assert_close(together[4], alone[0], atol=1e-6, rtol=1e-5)
        # What is changed moves its own text only; padding repeats the first token of all.
        for layer in hidden.values():
            layer[:1, :4] += 5.0
        moved = (made(hidden, cu_seqlens) - together).abs().amax(dim=1)
    assert moved[0] > 1e-3
    assert moved[1:].max() < 1e-6


@every_kind
def test_gradient_reaches_every_weight_and_every_text(kind: str) -> None:
    made, (hidden, cu_seqlens) = pooling(kind), states((3, 9, 1))
    read = range(1, DEPTH + 1) if kind == "layer-attention" else (DEPTH,)
    for layer in hidden.values():
        layer.requires_grad_()
    made(hidden, cu_seqlens).square().sum().backward()
    for name, weight in made.named_parameters():
        assert weight.grad is not None, name
        assert weight.grad.abs().sum() > 0, name
    assert (made.latents.grad.abs().sum(dim=1) > 0).all()
    for layer, given in hidden.items():
        if layer not in read:
            assert given.grad is None
            continue
        assert (given.grad.abs().sum(dim=1) > 0).all()


def encoder_with(kind: str, **changes: object) -> HuggingFaceEncoder:
    torch.manual_seed(0)
    spec = TextEncoderSpec(dim=32, depth=DEPTH, heads=4, intermediate=48, max_positions=128, pooling=kind, latents=6)
    return replace(spec, **changes).build(VOCABULARY)


@every_kind
@pytest.mark.parametrize("family", ["bert", "modernbert"])
def test_an_encoder_carries_it(kind: str, family: str) -> None:
    encoder, plain = encoder_with(kind, family=family), encoder_with("mean", family=family)
    assert encoder.pooler is not None
    assert encoder.pooler.latents.shape == (6, 32)
    assert {name for name in encoder.state_dict() if name not in plain.state_dict()} == {
        f"pooler.{name}" for name in encoder.pooler.state_dict()
    }
    # The pooling is drawn last.
    assert all(torch.equal(value, encoder.state_dict()[name]) for name, value in plain.state_dict().items())
    assert torch.equal(encoder.pooler.latents, encoder_with(kind, family=family).pooler.latents)
    encoder.eval()
    with torch.no_grad():
        encoded = encoder(ragged_view())
        assert sorted(encoded.states) == (list(range(1, DEPTH + 1)) if kind == "layer-attention" else [DEPTH])
        assert sorted(encoder(ragged_view(), layers=[1]).states) == [1], "nothing above what was asked for"
        torch.testing.assert_close(encoded.last, plain.eval()(ragged_view()).last)
        assert torch.equal(pool(encoded, kind), encoder.pooler(encoded.states, encoded.cu_seqlens))
        assert not torch.allclose(pool(encoded, kind), pool(encoded, "mean"), atol=1e-2)


@every_kind
def test_its_arithmetic_is_counted(kind: str) -> None:
    spent = {}
    for mode in ("mean", kind):
        with count_flops() as counter:
            pool(encoder_with(mode)(ragged_view()), mode).sum().backward()
        spent[mode] = counter.get_total_flops()
    # The feed-forward network alone, forward and twice that backward, for each token or each latent of each text.
    rows = ragged_view().tokens.numel() if kind == "latent-attention" else 6 * (ragged_view().cu_seqlens.numel() - 1)
    assert spent[kind] - spent["mean"] > 3 * 24 * 32**2 * rows


@every_kind
def test_bfloat16_stays_near(kind: str) -> None:
    encoder = encoder_with(kind).eval()
    with torch.no_grad():
        exact = pool(encoder(ragged_view()), kind)
        with torch.autocast("cpu", torch.bfloat16):
            rounded = [pool(encoder(ragged_view()), kind)]
        if can_be_packed(encoder):
            rounded.append(pool(packed_for_inference(encoder)(ragged_view()), kind))
    for one in rounded:
        assert one.dtype == torch.float32
        assert functional.cosine_similarity(exact, one, dim=1).min() > 0.999
        assert not torch.equal(exact, one)


def model_with(kind: str) -> EmbeddingModel:
    torch.manual_seed(0)
    spec = TextEncoderSpec(dim=32, depth=DEPTH, heads=4, intermediate=48, max_positions=64, pooling=kind, latents=6)
    encoder = spec.build(small_tokenizer().vocabulary.size)
    return EmbeddingModel(encoder, small_tokenizer(), pooling=kind, max_length=60, name="toy")


@every_kind
def test_a_model_encodes_with_it(kind: str) -> None:
    model, texts = model_with(kind), ["", *SENTENCES, " ".join(SENTENCES)]
    vectors = model.encode(texts)
    np.testing.assert_allclose(model.encode(texts, tokens_per_batch=8), vectors, atol=1e-5)
    assert np.abs(model.without_trained_pooling().encode(texts) - vectors).max() > 1e-2
    assert model.pooling == kind
    first = vectors[:, :8] / np.linalg.norm(vectors[:, :8], axis=1, keepdims=True)
    np.testing.assert_allclose(model.encode(texts, dims=8), first, atol=1e-5)
    assert (model.encode(texts, precision="bfloat16") * vectors).sum(axis=1).min() > 0.999
    np.testing.assert_array_equal(model.encode(texts, layers=DEPTH), vectors)
    with pytest.raises(ReknitError, match=f"toy pools by {kind}, which was trained for all 3 layers; 2 alone cannot"):
        model.encode(texts, layers=2)


def test_the_packed_copy_follows_changed_latents() -> None:
    model = model_with("latent-attention")
    before = model.encode(list(SENTENCES), precision="bfloat16")
    with torch.no_grad():
        model.encoder.pooler.latents.mul_(-1)
    assert np.abs(model.encode(list(SENTENCES), precision="bfloat16") - before).max() > 1e-3


def test_where_there_is_none_it_is_refused() -> None:
    hidden, cu_seqlens = states((2, 3))
    bare = Encoded(hidden, cu_seqlens, positions_of(cu_seqlens), DEPTH)
    with pytest.raises(ReknitError, match="the encoder has no trained pooling 'latent-attention'"):
        pool(bare, "latent-attention")
    with pytest.raises(ReknitError, match="has no trained pooling 'token-attention'"):
        pool(replace(bare, pooler=pooling("layer-attention")), "token-attention")
    with pytest.raises(ReknitError, match="trained for all 3 layers; 1 alone cannot be pooled"):
        pool(replace(bare, pooler=pooling("token-attention")), "token-attention", layer=1)
    for kind in TRAINED_POOLINGS:
        with pytest.raises(ReknitError, match=r"all 3 layers of its encoder, .* but layers \[1\] were computed"):
            pooling(kind)({1: hidden[1]}, cu_seqlens)
    model = model_with("latent-attention")
    for wrong in ("layer-attention", "token-attention"):
        with pytest.raises(ReknitError, match=f"has no trained pooling '{wrong}'"):
            EmbeddingModel(model.encoder, model.tokenizer, pooling=wrong)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"kind": "sum"}, "unknown trained pooling 'sum'; use one of latent-attention"),
        ({"heads": 3}, "3 heads does not fit a width of 16"),
        ({"latents": 0}, "of 0 latents"),
    ],
)
def test_impossible_shapes(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ReknitError, match=message):
        TrainedPooling(**{"kind": "latent-attention", "dim": DIM, "depth": DEPTH, **settings})


@every_kind
def test_saved_and_loaded_it_is_the_same(kind: str, tmp_path: Path) -> None:
    made, (hidden, cu_seqlens) = pooling(kind), states()
    made.save(tmp_path)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["config.json", "model.safetensors"]
    loaded = TrainedPooling.load(tmp_path, DIM, DEPTH)
    assert not loaded.training
    assert all(isinstance(weight, nn.Parameter) and weight.requires_grad for weight in loaded.parameters())
    with torch.no_grad():
        assert torch.equal(loaded(hidden, cu_seqlens), made(hidden, cu_seqlens))


def test_another_models_pooling_and_damage_are_refused(tmp_path: Path) -> None:
    pooling("layer-attention").save(tmp_path)
    with pytest.raises(ReknitError, match="with 3 layers of width 16, but the model beside it has 4 of width"):
        TrainedPooling.load(tmp_path, DIM, 4)
    config = json.loads((tmp_path / "config.json").read_text())
    for change, message in (
        ({"latents": LATENTS + 1}, "weights are not those that config.json describes"),
        ({"kind": "latent-attention"}, "weights are not those that config.json describes"),
        ({"heads": None}, "must give dim, depth, latents and heads"),
    ):
        (tmp_path / "config.json").write_text(json.dumps(config | change))
        with pytest.raises(ReknitError, match=message):
            TrainedPooling.load(tmp_path, DIM, DEPTH)
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "model.safetensors").rename(tmp_path / "pytorch_model.bin")
    with pytest.raises(ReknitError, match="a format that can run code when loaded"):
        TrainedPooling.load(tmp_path, DIM, DEPTH)
