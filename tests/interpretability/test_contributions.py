"""What a similarity loses without a feature: closed form at the last layer, one re-encoding a feature below it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from feature_samples import TEXTS, small_embedder

from reknit.data.batch import View
from reknit.errors import ReknitError
from reknit.interpretability import contributions as module
from reknit.interpretability.contributions import changeable, contributions
from reknit.interpretability.feature_model import standardise
from reknit.interpretability.top_k import TopKSpec
from reknit.models.embedding_model import EmbeddingModel

FEATURES = TopKSpec(width=24, k=4).build(16, seed=2).eval()
QUERY = "the bar turns"


def query_of(model: EmbeddingModel) -> np.ndarray:
    return model.comparable(model.encode([QUERY], prompt_name="query"))[0]


def parts(model: EmbeddingModel, layer: int, text: str) -> tuple[torch.Tensor, torch.Tensor]:
    """[T, dim] states, and [width, T, dim] the part of each feature in them."""
    batch = model.tokenizer.pack([text], model.max_length)
    with torch.no_grad():
        states = model.encoder(View.clean(batch), layers=[layer]).states[layer]
        code = FEATURES.encode(states)
        return states, code.T[..., None] * FEATURES.decoder[:, None] * standardise(states).spreads


def test_at_the_last_layer_a_dot_product_is_linear() -> None:
    model = small_embedder(normalize=False, similarity="dot", pooling="mean")
    query = query_of(model)
    found = contributions(model, FEATURES, 2, TEXTS[0], query)
    states, taken = parts(model, 2, TEXTS[0])
    assert found.similarity == pytest.approx(float(states.mean(dim=0) @ torch.from_numpy(query)), rel=1e-4)
    assert len(found.features) > 5
    for feature, value in zip(found.features.tolist(), found.values.tolist(), strict=True):
        wanted = float(taken[feature].mean(dim=0) @ torch.from_numpy(query))
        assert value == pytest.approx(wanted, abs=2e-4 * abs(found.similarity))


@pytest.mark.parametrize("layer", [0, 1])
@pytest.mark.parametrize("similarity", ["cosine", "dot"])
def test_below_it_the_layers_above_run_again(layer: int, similarity: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_TOKENS_AT_A_TIME", 200)
    model = small_embedder(normalize=False, similarity=similarity, prompts={"document": "passage: "})
    query = query_of(model)
    found = contributions(model, FEATURES, layer, TEXTS[1], query)
    assert found.similarity == pytest.approx(float(_similarity(model, query)), rel=1e-4)
    _, taken = parts(model, layer, "passage: " + TEXTS[1])
    changed = model.encoder.embedding_dropout if layer == 0 else model.encoder.blocks[0]
    for feature, value in zip(found.features.tolist(), found.values.tolist(), strict=True):
        hook = changed.register_forward_hook(lambda _m, _g, output, part=taken[feature]: output - part)
        without = _similarity(model, query)
        hook.remove()
        assert value == pytest.approx(found.similarity - float(without), abs=1e-3 * max(1.0, abs(found.similarity)))
    assert np.ptp(found.values) > 1e-3


def _similarity(model: EmbeddingModel, query: np.ndarray) -> float:
    return float(model.comparable(model.encode([TEXTS[1]], prompt_name="document"))[0] @ query)


def test_the_model_is_left_as_it_was() -> None:
    model = small_embedder()
    before = model.encode(TEXTS[:3])
    contributions(model, FEATURES, 1, TEXTS[0], query_of(model))
    assert np.array_equal(model.encode(TEXTS[:3]), before)
    assert not any(one._forward_hooks for one in model.encoder.modules())


def test_only_the_strongest_features_are_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    model = small_embedder()
    everything = contributions(model, FEATURES, 1, TEXTS[0], query_of(model))
    monkeypatch.setattr(module, "MOST_FEATURES", 3)
    found = contributions(model, FEATURES, 1, TEXTS[0], query_of(model))
    energy = everything.code.square().sum(dim=0)
    assert found.features.tolist() == energy.argsort(descending=True)[:3].tolist()
    assert np.allclose(found.values, everything.values[:3], atol=1e-5)


def test_what_cannot_be_put_back() -> None:
    model = small_embedder(family="modernbert")
    with pytest.raises(ReknitError, match=r"layer 1 .* --set layer=0 or layer=2"):
        changeable(model, 1)
    with pytest.raises(ReknitError, match="layers 0 to 2"):
        changeable(model, 3)
    for layer in (0, 2):
        found = contributions(model, FEATURES, layer, TEXTS[0], query_of(model))
        vector = model.comparable(model.encode([TEXTS[0]], prompt_name="document"))[0]
        assert found.similarity == pytest.approx(float(vector @ query_of(model)), abs=1e-4)
        assert np.abs(found.values).max() > 1e-4
