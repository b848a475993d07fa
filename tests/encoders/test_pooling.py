"""Pooling against sentence-transformers, and on sequences that have no tokens."""

from __future__ import annotations

import pytest
import torch

from reknit.data.batch import positions_of
from reknit.encoders.base import Encoded
from reknit.encoders.pooling import pool
from reknit.encoders.pooling_modes import POOLING_MODES
from reknit.errors import ReknitError

LENGTHS = (3, 1, 7, 2)


def encoded(lengths: tuple[int, ...] = LENGTHS, dtype: torch.dtype = torch.float32) -> Encoded:
    generator = torch.Generator().manual_seed(0)
    cu_seqlens = torch.tensor([0, *lengths]).cumsum(0)
    hidden = {layer: torch.randn(sum(lengths), 6, generator=generator).to(dtype) for layer in (1, 2)}
    return Encoded(hidden, cu_seqlens, positions_of(cu_seqlens), depth=2)


@pytest.mark.parametrize("mode", POOLING_MODES)
@pytest.mark.parametrize("layer", [None, 1])
def test_equals_sentence_transformers(mode: str, layer: int | None) -> None:
    from sentence_transformers.sentence_transformer.modules import Pooling

    sample = encoded()
    hidden = sample.states[2 if layer is None else layer]
    padded = torch.zeros(len(LENGTHS), max(LENGTHS), 6)
    mask = torch.zeros(len(LENGTHS), max(LENGTHS), dtype=torch.int64)
    for row, (start, length) in enumerate(zip(sample.cu_seqlens.tolist(), LENGTHS, strict=False)):
        padded[row, :length] = hidden[start : start + length]
        mask[row, :length] = 1
    theirs = Pooling(6, pooling_mode="lasttoken" if mode == "last" else mode)
    expected = theirs({"token_embeddings": padded, "attention_mask": mask})["sentence_embedding"]
    torch.testing.assert_close(pool(sample, mode, layer), expected)


@pytest.mark.parametrize("mode", POOLING_MODES)
def test_a_sequence_without_tokens_gives_zeros(mode: str) -> None:
    pooled = pool(encoded((3, 0, 2, 0)), mode)
    assert torch.isfinite(pooled).all()
    assert torch.equal(pooled[[1, 3]], torch.zeros(2, 6))
    torch.testing.assert_close(pooled[[0, 2]], pool(encoded((3, 2)), mode))


@pytest.mark.parametrize("mode", POOLING_MODES)
def test_gradient_reaches_every_sequence(mode: str) -> None:
    sample = encoded()
    sample.states[2].requires_grad_()
    pool(sample, mode).square().sum().backward()
    gradient = sample.states[2].grad
    assert gradient is not None
    for start, stop in zip(sample.cu_seqlens.tolist(), sample.cu_seqlens.tolist()[1:], strict=False):
        assert gradient[start:stop].abs().sum() > 0


def test_mean_of_bfloat16_is_taken_in_float32() -> None:
    assert pool(encoded(dtype=torch.bfloat16), "mean").dtype == torch.float32


def test_bad_requests() -> None:
    with pytest.raises(ReknitError, match="unknown pooling 'median'"):
        pool(encoded(), "median")
    with pytest.raises(ReknitError, match="layer 0 was not computed"):
        pool(encoded(), "mean", layer=0)
