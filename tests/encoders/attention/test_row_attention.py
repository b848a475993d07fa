"""Attention for some rows is the same rows of attention for all."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from reknit.data.attention_rules import AttentionContext, AttentionRule, Both, Window, bidirectional, causal
from reknit.encoders.attention.packed import AttentionLayout, packed_attention
from reknit.encoders.attention.rows import packed_row_attention

# 600 tokens and more a bucket, so that there are several, with padding, in another order than given.
LENGTHS = (90, 7, 130, 3, 0, 120, 128, 40, 125, 9, 88, 131, 95, 60)


def odd_numbers(context: AttentionContext) -> Tensor:
    """A rule of flat positions, that leaves some rows without any key."""
    return ((context.query_index + context.key_index) % 2 == 1) & (context.query_index % 5 > 0)


def inputs(total: int) -> list[Tensor]:
    chance = torch.Generator().manual_seed(0)
    return [torch.randn(total, 2, 8, generator=chance).requires_grad_() for _ in range(3)]


def chosen(kind: str, total: int) -> Tensor:
    drawn = torch.rand(total, generator=torch.Generator().manual_seed(1))
    if kind == "none of some sequences":
        drawn[90:300] = 1.0
    rows = (drawn < {"all": 1.1, "few": 0.01}.get(kind, 0.2)).nonzero().squeeze(1)
    return rows[torch.randperm(len(rows), generator=torch.Generator().manual_seed(2))] if kind == "any order" else rows


@pytest.mark.parametrize("rule", [bidirectional, causal, odd_numbers, Both(odd_numbers, Window(9))])
@pytest.mark.parametrize("kind", ["some", "all", "few", "none of some sequences", "any order"])
def test_equals_rows_of_the_whole_forward_and_gradient(rule: AttentionRule, kind: str) -> None:
    offsets = torch.tensor([0, *LENGTHS]).cumsum(0)
    total = int(offsets[-1])
    leaves, rows = inputs(total), chosen(kind, total)
    query, key, value = leaves
    layout = AttentionLayout.of(offsets)
    assert len(layout.buckets) > 1
    assert layout.padding is not None
    whole = packed_attention(query, key, value, layout, rule)[rows]
    ours = packed_row_attention(query[rows], key, value, rows, layout, rule)
    torch.testing.assert_close(ours, whole)
    weights = torch.randn(whole.shape, generator=torch.Generator().manual_seed(3))
    for mine, theirs in zip(
        torch.autograd.grad((ours * weights).sum(), leaves),
        torch.autograd.grad((whole * weights).sum(), leaves),
        strict=True,
    ):
        torch.testing.assert_close(mine, theirs)


def test_no_rows() -> None:
    query, key, value = inputs(5)
    rows = torch.zeros(0, dtype=torch.int64)
    attended = packed_row_attention(query[rows], key, value, rows, AttentionLayout.of(torch.tensor([0, 5])))
    assert attended.shape == (0, 2, 8)
    # Every input gets its gradient of zeros: in a team of processes, the others wait for it.
    assert all((gradient == 0).all() for gradient in torch.autograd.grad(attended.sum(), (query, key, value)))


def test_a_rule_is_asked_for_the_rows_only() -> None:
    """The point of it: what is made grows with the rows, not with the tokens."""
    asked: list[int] = []

    def counting(context: AttentionContext) -> Tensor:
        asked.append(context.query.numel() * context.key.shape[2])
        return torch.ones((), dtype=torch.bool)

    offsets = torch.tensor([0, 100, 200])
    query, key, value = inputs(200)
    rows = torch.tensor([3, 50, 120])
    packed_row_attention(query[rows], key, value, rows, AttentionLayout.of(offsets), counting)
    assert sum(asked) == 2 * 2 * 100


@pytest.mark.parametrize("rule", [bidirectional, odd_numbers])
def test_bfloat16_for_inference_agrees_with_float32(rule: AttentionRule, monkeypatch: pytest.MonkeyPatch) -> None:
    offsets = torch.tensor([0, *LENGTHS]).cumsum(0)
    rows = chosen("some", int(offsets[-1]))
    query, key, value = (tensor.detach() for tensor in inputs(int(offsets[-1])))
    exact = packed_attention(query, key, value, AttentionLayout.of(offsets), rule)[rows]
    a_few_sequences = 3 * 2 * 30 * 130
    monkeypatch.setattr("reknit.encoders.attention.explicit.CACHED_SCORES", a_few_sequences)
    lean = [tensor.bfloat16() for tensor in (query[rows], key, value)]
    found = packed_row_attention(*lean, rows, AttentionLayout.of(offsets), rule)
    torch.testing.assert_close(found.float(), exact, atol=0.03, rtol=0.03)
