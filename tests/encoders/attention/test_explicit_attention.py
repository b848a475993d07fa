"""Attention in pieces with its own way back, against the formula written out and torch's derivatives of it."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from reknit.encoders.attention import explicit as module
from reknit.encoders.attention.dropout import dropped_levels, random_bytes
from reknit.encoders.attention.explicit import explicit_attention

SEQUENCES, HEADS, KEYS, WIDTH = 5, 3, 7, 4


def inputs(queries: int) -> tuple[Tensor, ...]:
    torch.manual_seed(queries)
    shapes = ((queries, WIDTH), (KEYS, WIDTH), (KEYS, WIDTH))
    return tuple(torch.randn(SEQUENCES, HEADS, *shape).requires_grad_() for shape in shapes)


def masks(queries: int) -> dict[str, Tensor | None]:
    some = torch.rand(SEQUENCES, 1, queries, KEYS) < 0.5
    some[..., 0] = True
    return {"none": None, "each": some, "keys": some[:, :, :1], "one for all": some[:1]}


def naive(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, dropout: float) -> Tensor:
    scores = query @ key.transpose(-1, -2) / WIDTH**0.5
    if mask is not None:
        scores = scores.masked_fill(~mask, float("-inf"))
    weights = scores.softmax(dim=-1)
    if dropout:
        survives = random_bytes((SEQUENCES * HEADS, *scores.shape[2:])) >= dropped_levels(dropout)
        weights = weights * survives.view_as(weights) / (1 - dropped_levels(dropout) / 256)
    return weights @ value


@pytest.mark.parametrize("dropout", [0.0, 0.4])
@pytest.mark.parametrize("queries", [KEYS, 2])
@pytest.mark.parametrize("kind", ["none", "each", "keys", "one for all"])
@pytest.mark.parametrize("at_once", [1, 2 * HEADS * KEYS * KEYS, 10**6])
def test_equals_the_formula_forward_and_back(
    monkeypatch: pytest.MonkeyPatch, dropout: float, queries: int, kind: str, at_once: int
) -> None:
    monkeypatch.setattr(module, "CACHED_SCORES", at_once)
    tensors, mask = inputs(queries), masks(queries)[kind]
    weights = torch.randn(SEQUENCES, HEADS, queries, WIDTH)
    found, expected = [], []
    for attention, results in ((explicit_attention, found), (naive, expected)):
        torch.manual_seed(1)
        attended = attention(*tensors, mask, dropout)
        results += [attended, *torch.autograd.grad((attended * weights).sum(), tensors)]
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)


def test_bfloat16_stays_near_float32() -> None:
    tensors = inputs(KEYS)
    lean = tuple(tensor.detach().bfloat16().requires_grad_() for tensor in tensors)
    results = []
    for given in (tensors, lean):
        torch.manual_seed(1)
        attended = explicit_attention(*given, None, 0.2)
        assert attended.dtype == given[0].dtype
        results.append([attended, *torch.autograd.grad(attended.float().square().sum(), given)])
    for exact, found in zip(*results, strict=True):
        torch.testing.assert_close(found.float(), exact, atol=0.06, rtol=0.03)


def test_hidden_keys_get_no_gradient() -> None:
    query, key, value = inputs(KEYS)
    mask = torch.ones(SEQUENCES, 1, 1, KEYS, dtype=torch.bool)
    mask[..., 3:] = False
    explicit_attention(query, key, value, mask, 0.1).sum().backward()
    assert key.grad is not None
    assert value.grad is not None
    assert not key.grad[:, :, 3:].any()
    assert not value.grad[:, :, 3:].any()
    assert value.grad[:, :, :3].any()
