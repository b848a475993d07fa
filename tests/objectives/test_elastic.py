"""Sizes of an elastic objective: by default, as named, drawn, and cut as an exported model is."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from toy_models import TOY_VOCABULARY, generator, toy_encoder, toy_pairs

from reknit.data.batch import View
from reknit.encoders.pooling import pool
from reknit.errors import ReknitError
from reknit.objectives.elastic import ElasticContrastiveSpec, default_sizes, layer_steps, parse_size


@given(st.integers(1, 40), st.integers(1, 2000))
def test_default_sizes_grow_to_the_full_model(depth: int, dim: int) -> None:
    sizes = default_sizes(depth, dim)
    assert sizes[-1] == (depth, dim)
    assert len(sizes) == min(6, depth)
    layers = [size[0] for size in sizes]
    assert layers == sorted(set(layers))
    assert layers[0] >= 1
    assert all(small[1] <= large[1] for small, large in pairwise(sizes))


def test_layer_steps_are_even_and_end_with_all() -> None:
    assert layer_steps(12) == [2, 4, 6, 8, 10, 12]
    assert layer_steps(8) == [2, 3, 4, 6, 7, 8]
    assert layer_steps(3) == [1, 2, 3]


def test_default_sizes_of_bert() -> None:
    assert default_sizes(12, 768) == [(2, 24), (4, 48), (6, 96), (8, 192), (10, 384), (12, 768)]


@pytest.mark.parametrize("text", ["", "2", "x", "2x", "0x8", "2x0", "-1x8", "2x8x8", "ax8", "2.5x8"])
def test_sizes_that_are_none(text: str) -> None:
    with pytest.raises(ReknitError, match="write layers and dimensions"):
        parse_size(text)
    with pytest.raises(ReknitError, match="write layers and dimensions"):
        ElasticContrastiveSpec(sizes=(text,))


def test_sizes_beyond_the_encoder() -> None:
    for size in ("3x8", "1x33"):
        with pytest.raises(ReknitError, match=f"size {size} is not within the encoder's 2 layers and 32"):
            ElasticContrastiveSpec(sizes=(size,)).build(toy_encoder(), TOY_VOCABULARY, "mean")


def test_vectors_are_those_of_the_cut_model() -> None:
    encoder, batch = toy_encoder().eval(), toy_pairs(0)
    objective = ElasticContrastiveSpec(sizes=("1x8", "2x16")).build(encoder, TOY_VOCABULARY, "mean").eval()
    with torch.no_grad():
        vectors = objective.embed(encoder, batch, generator(0))
        encoded = encoder(View.clean(batch), [1, 2])
    assert vectors.shape == (batch.num_sequences, 3, 32)
    for place, (layers, dims) in enumerate([(1, 8), (2, 16), (2, 32)]):
        expected = pool(encoded, "mean", layers)
        torch.testing.assert_close(vectors[:, place, :dims], expected[:, :dims])
        assert not vectors[:, place, dims:].any()


def test_the_full_model_learns_nothing_by_the_alignment() -> None:
    encoder, batch = toy_encoder(), toy_pairs(0)
    objective = ElasticContrastiveSpec(sizes=("1x8",)).build(encoder, TOY_VOCABULARY, "mean")
    objective(encoder, batch, generator(0)).losses["alignment"].backward()
    assert all(p.grad is None or not p.grad.any() for p in encoder.blocks[1].parameters())
    assert any(p.grad is not None and p.grad.any() for p in encoder.blocks[0].parameters())


def test_drawn_sizes_are_a_layer_below_and_the_last_each_cut_and_whole() -> None:
    spec = ElasticContrastiveSpec(sizes=("1x8", "1x16"), trained="one")
    objective = spec.build(toy_encoder(), TOY_VOCABULARY, "mean")
    seen = set()
    for seed in range(40):
        below, *others = objective._drawn(generator(seed))
        assert others == [(1, 32), (2, below[1]), (2, 32)]
        seen.add(below)
    assert seen == {(1, 8), (1, 16)}
    whole = ElasticContrastiveSpec(sizes=("1x32",), trained="one").build(toy_encoder(), TOY_VOCABULARY, "mean")
    assert whole._drawn(generator(0)) == [(1, 32), (2, 32)]


def test_of_drawn_sizes_the_lower_layer_alone_is_aligned() -> None:
    """Which has half of the contrastive loss, as published."""
    batch = toy_pairs(0)
    objective = ElasticContrastiveSpec(sizes=("1x8",), trained="one").build(toy_encoder(), TOY_VOCABULARY, "mean")
    vectors = torch.randn(batch.num_sequences, 4, 32, generator=generator(1), requires_grad=True)
    (learnt,) = torch.autograd.grad(objective.score(vectors, batch).losses["alignment"], vectors)
    assert learnt[:, :2].any(dim=(0, 2)).all()
    assert not learnt[:, 2:].any()
