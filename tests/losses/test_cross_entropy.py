"""The chunked cross-entropy against loops and torch, forward and gradient."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional
from twins.losses.cross_entropy import naive_cross_entropy, naive_reweighted

from reknit.losses import cross_entropy as module
from reknit.losses.cross_entropy import cross_entropy, token_losses
from reknit.objectives.causal_language_model import loss_weights


def inputs(count: int, vocabulary: int = 11, dim: int = 4, seed: int = 0) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    states, table = (
        torch.randn(n, dim, generator=generator, dtype=torch.float32).requires_grad_() for n in (count, vocabulary)
    )
    bias = torch.randn(vocabulary, generator=generator).requires_grad_()
    return states, table, bias, torch.randint(vocabulary, (count,), generator=generator)


def gradients(loss: Tensor, *leaves: Tensor) -> list[Tensor]:
    return list(torch.autograd.grad(loss, leaves))


@settings(max_examples=25, deadline=None)
@given(count=st.integers(1, 9), rows=st.integers(1, 10), seed=st.integers(0, 1000), with_bias=st.booleans())
def test_equals_the_loop_forward_and_gradient(count: int, rows: int, seed: int, with_bias: bool) -> None:
    states, table, bias, targets = inputs(count, seed=seed)
    leaves = (states, table, bias) if with_bias else (states, table)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "CPU_CHUNK_ELEMENTS", rows * 11)
        loss, hits = cross_entropy(states, table, bias if with_bias else None, targets)
    expected = naive_cross_entropy(states, table, bias if with_bias else None, targets)
    torch.testing.assert_close(loss, expected)
    for ours, theirs in zip(gradients(loss * 3, *leaves), gradients(expected * 3, *leaves), strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)
    logits = states @ table.t() + (bias if with_bias else 0.0)
    assert int(hits) == int((logits.argmax(dim=1) == targets).sum())


@pytest.mark.parametrize("strategy", ["linupper", "quadratic", "extremes"])
def test_weighted_by_what_they_are(strategy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CPU_CHUNK_ELEMENTS", 3 * 11)
    *leaves, targets = inputs(7)
    losses = token_losses(*leaves, targets)
    single = [naive_cross_entropy(leaves[0][[n]], *leaves[1:], targets[[n]]) for n in range(7)]
    sums = (loss_weights(losses, strategy, 0.5) * losses).sum(), naive_reweighted(single, strategy, 0.5)
    torch.testing.assert_close(*((loss, *gradients(loss, *leaves)) for loss in sums))


def test_equals_torch_on_many_rows_and_large_logits() -> None:
    states, table, bias, targets = inputs(300, vocabulary=503, dim=16, seed=1)
    with torch.no_grad():
        states *= 40.0
    loss, _ = cross_entropy(states, table, bias, targets)
    expected = functional.cross_entropy(states @ table.t() + bias, targets)
    torch.testing.assert_close(loss, expected)
    for ours, theirs in zip(
        gradients(loss, states, table, bias), gradients(expected, states, table, bias), strict=True
    ):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-4)


def test_no_rows_give_zero_and_zero_gradients() -> None:
    states, table, bias, targets = inputs(0)
    loss, hits = cross_entropy(states, table, bias, targets)
    assert float(loss.detach()) == 0.0
    assert int(hits) == 0
    assert all((gradient == 0).all() for gradient in gradients(loss, states, table, bias))


def test_chunks_bound_the_memory() -> None:
    """The largest tensor made is one chunk of logits, far smaller than [P, V]."""
    states, table, bias, targets = inputs(4000, vocabulary=5000, dim=8)
    made: list[int] = []

    class Watch(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, function, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
            result = function(*args, **(kwargs or {}))
            made.extend(r.numel() for r in (result if isinstance(result, tuple) else (result,)) if torch.is_tensor(r))
            return result

    with pytest.MonkeyPatch.context() as patch, Watch():
        patch.setattr(module, "CPU_CHUNK_ELEMENTS", 500_000)
        cross_entropy(states, table, bias, targets)[0].backward()
    assert max(made) <= 500_000


def test_frozen_table_and_no_gradient() -> None:
    states, table, bias, targets = inputs(6)
    with torch.no_grad():
        bare, _ = cross_entropy(states, table, bias, targets)
    loss, _ = cross_entropy(states, table.detach(), bias.detach(), targets)
    torch.testing.assert_close(loss.detach(), bare)
    assert torch.autograd.grad(loss, states)[0].abs().sum() > 0


@pytest.mark.parametrize("rows", [7, 50, 1000])
def test_autocast_runs_in_bfloat16_and_stays_close(rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the table's gradient is a sum of several products of several chunks each, the last one short."""
    monkeypatch.setattr(module, "CPU_CHUNK_ELEMENTS", rows * 300)
    states, table, bias, targets = inputs(200, vocabulary=300, dim=32, seed=2)
    exact, _ = cross_entropy(states, table, bias, targets)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        lean, _ = cross_entropy(states.to(torch.bfloat16), table, bias, targets)
    assert lean.dtype == torch.float32
    assert abs(float(lean.detach() / exact.detach()) - 1) < 0.02
    for ours, theirs in zip(gradients(lean, states, table, bias), gradients(exact, states, table, bias), strict=True):
        assert ours.dtype == theirs.dtype
        assert functional.cosine_similarity(ours.flatten(), theirs.flatten(), dim=0) > 0.999
