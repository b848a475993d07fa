"""Packed attention against a loop over sequences and heads, for every kind of rule."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from reknit.data.attention_rules import AttentionContext, AttentionRule, Both, Window, bidirectional, causal
from reknit.data.batch import positions_of
from reknit.encoders.attention.layout import MAX_PADDING, SMALL_BUCKET_SLOTS
from reknit.encoders.attention.packed import AttentionLayout, packed_attention, packed_self_attention

HEADS, HEAD_DIM = 2, 4
RAGGED = (7, 1, 30, 30, 2, 19, 64, 5)
Allowed = Callable[[int, int, int, int], bool]


@dataclass(frozen=True)
class RandomRows:
    """Each query row sees its own random keys and never itself, as in RetroMAE's enhanced decoder."""

    table: Tensor

    def __call__(self, context: AttentionContext) -> Tensor:
        return self.table[context.query_index, context.key] & (context.query != context.key)


@dataclass
class Counting:
    """A rule that looks at the layer and counts its calls."""

    calls: list[int] = field(default_factory=list)

    def __call__(self, context: AttentionContext) -> Tensor:
        self.calls.append(context.layer)
        return (context.key <= context.query) if context.layer else (context.key >= context.query)


def offsets(lengths: tuple[int, ...]) -> Tensor:
    return torch.tensor([0, *lengths]).cumsum(0)


def random_inputs(lengths: tuple[int, ...], seed: int = 0) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(sum(lengths), HEADS, HEAD_DIM, generator=generator) for _ in range(3)]


def naive(query: Tensor, key: Tensor, value: Tensor, lengths: tuple[int, ...], allowed: Allowed) -> Tensor:
    """One softmax at a time; a row that sees nothing sees position 0."""
    rows, start = [], 0
    for length in lengths:
        for i in range(length):
            seen = [j for j in range(length) if allowed(i, j, start + i, start + j)] or [0]
            for head in range(HEADS):
                scores = torch.stack([query[start + i, head] @ key[start + j, head] for j in seen])
                weights = (scores / HEAD_DIM**0.5).softmax(0)
                rows.append(sum(w * value[start + j, head] for w, j in zip(weights, seen, strict=True)))
        start += length
    return torch.stack(rows).view(query.shape)


@given(st.lists(st.integers(1, 12), min_size=1, max_size=8), st.integers(0, 100))
@settings(max_examples=15, deadline=None)
def test_bidirectional_equals_a_loop(lengths: list[int], seed: int) -> None:
    sizes = tuple(lengths)
    inputs = random_inputs(sizes, seed)
    result = packed_attention(*inputs, AttentionLayout.of(offsets(sizes)))
    torch.testing.assert_close(result, naive(*inputs, sizes, lambda i, j, a, b: True), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(
    ("rule", "allowed"),
    [
        (causal, lambda i, j, a, b: j <= i),
        (Window(3), lambda i, j, a, b: abs(i - j) <= 3),
        (Both(causal, Window(2)), lambda i, j, a, b: i - 2 <= j <= i),
        (Both(Window(500), bidirectional), lambda i, j, a, b: True),
    ],
    ids=["causal", "window", "causal-window", "window wider than the text"],
)
def test_rules_equal_a_loop(rule: AttentionRule, allowed: Allowed) -> None:
    inputs = random_inputs(RAGGED)
    result = packed_attention(*inputs, AttentionLayout.of(offsets(RAGGED)), rule)
    torch.testing.assert_close(result, naive(*inputs, RAGGED, allowed), atol=1e-5, rtol=1e-4)


def test_a_random_mask_per_row_may_hide_everything() -> None:
    table = torch.rand(sum(RAGGED), max(RAGGED), generator=torch.Generator().manual_seed(1)) < 0.3
    table[:3] = False
    inputs = [tensor.requires_grad_() for tensor in random_inputs(RAGGED)]
    result = packed_attention(*inputs, AttentionLayout.of(offsets(RAGGED)), RandomRows(table))
    expected = naive(*inputs, RAGGED, lambda i, j, a, b: bool(table[a, j]) and i != j)
    torch.testing.assert_close(result, expected, atol=1e-5, rtol=1e-4)
    for mine, theirs in zip(
        torch.autograd.grad(result.square().sum(), inputs),
        torch.autograd.grad(expected.square().sum(), inputs),
        strict=True,
    ):
        torch.testing.assert_close(mine, theirs, atol=1e-4, rtol=1e-3)


def test_gradients_equal_a_loop() -> None:
    inputs = [tensor.requires_grad_() for tensor in random_inputs(RAGGED)]
    weights = torch.randn(sum(RAGGED), HEADS, HEAD_DIM, generator=torch.Generator().manual_seed(2))
    mine = packed_attention(*inputs, AttentionLayout.of(offsets(RAGGED)), causal)
    theirs = naive(*inputs, RAGGED, lambda i, j, a, b: j <= i)
    for left, right in zip(
        torch.autograd.grad((mine * weights).sum(), inputs),
        torch.autograd.grad((theirs * weights).sum(), inputs),
        strict=True,
    ):
        torch.testing.assert_close(left, right, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("dropout", [0.0, 0.2])
def test_two_runs_give_the_same_bits(dtype: torch.dtype, dropout: float) -> None:
    generator = torch.Generator().manual_seed(3)
    fused = torch.randn(sum(RAGGED), 3, HEADS, HEAD_DIM, generator=generator).to(dtype)

    def run() -> tuple[Tensor, Tensor]:
        torch.manual_seed(0)
        leaf = fused.clone().requires_grad_()
        result = packed_self_attention(leaf, AttentionLayout.of(offsets(RAGGED)), dropout=dropout)
        result.float().square().sum().backward()
        assert leaf.grad is not None
        return result.detach(), leaf.grad

    for first, second in zip(run(), run(), strict=True):
        assert torch.equal(first, second)


def test_bfloat16_stays_near_float32() -> None:
    fused = torch.randn(sum(RAGGED), 3, HEADS, HEAD_DIM, generator=torch.Generator().manual_seed(4))
    layout = AttentionLayout.of(offsets(RAGGED))
    exact = packed_self_attention(fused, layout, causal)
    for needs_gradient in (False, True):  # the two take different kernels on the CPU
        rounded = packed_self_attention(fused.bfloat16().requires_grad_(needs_gradient), layout, causal)
        assert rounded.dtype == torch.bfloat16
        assert (rounded.float() - exact).abs().max() < 0.05


def test_dropout_leaves_the_mean_alone() -> None:
    fused = torch.randn(12, 3, HEADS, HEAD_DIM, generator=torch.Generator().manual_seed(5))
    layout = AttentionLayout.of(offsets((5, 7)))
    torch.manual_seed(0)
    samples = torch.stack([packed_self_attention(fused, layout, dropout=0.25) for _ in range(3000)])
    assert samples.std(0).max() > 0.05
    assert (samples.mean(0) - packed_self_attention(fused, layout)).abs().max() < 0.1


def test_a_mask_is_made_once_unless_the_rule_knows_layers() -> None:
    layout = AttentionLayout.of(offsets((6, 6)))
    inputs = random_inputs((6, 6))
    rule = Counting()
    for layer in (0, 1, 1):
        packed_attention(*inputs, layout, rule, layer)
    assert rule.calls == [0, 1]
    bucket = layout.buckets[0]
    assert layout.mask(bucket, causal, 0) is layout.mask(bucket, causal, 5)
    assert layout.mask(bucket, Window(50), 0) is None


def test_context_tells_places_flat_positions_and_hidden_tokens() -> None:
    lengths = (3, 60, 58)
    hidden = torch.rand(sum(lengths), generator=torch.Generator().manual_seed(6)) < 0.5
    layout = AttentionLayout.of(offsets(lengths), hidden)
    places, seen = positions_of(offsets(lengths)), []
    for bucket in layout.buckets:
        context = layout.context(bucket, layer=2)
        assert context.layer == 2
        assert context.query.shape == (bucket.sequences, bucket.length, 1)
        assert context.key.shape == (bucket.sequences, 1, bucket.length)
        assert torch.equal(context.query, places[context.query_index])
        assert torch.equal(context.key, places[context.key_index])
        assert torch.equal(context.query_masked, hidden[context.query_index])
        assert torch.equal(context.key_masked, hidden[context.key_index])
        seen += context.key_index.flatten().tolist()
    assert set(seen) == set(range(sum(lengths)))


def test_positions_and_indices_of_a_subset() -> None:
    kept = torch.tensor([0, 2, 5, 6, 9])
    layout = AttentionLayout.of(offsets((3, 2)), positions=torch.tensor([0, 2, 5, 0, 3]), indices=kept)
    context = layout.context(layout.buckets[0], 0)
    assert context.query_index.squeeze(-1).tolist() == [[0, 2, 5], [6, 9, 0]]
    assert context.query.squeeze(-1)[0].tolist() == [0, 2, 5]
    # places 0 and 5 are neighbours on the packed axis, but five apart in the text
    assert layout.mask(layout.buckets[0], Window(2), 0) is not None


@given(st.lists(st.integers(0, 90), min_size=0, max_size=60))
@settings(max_examples=40, deadline=None)
def test_layout_is_a_permutation_with_little_padding(lengths: list[int]) -> None:
    layout = AttentionLayout.of(offsets(tuple(lengths)))
    total = sum(lengths)
    assert sum(bucket.sequences for bucket in layout.buckets) == sum(length > 0 for length in lengths)
    values = torch.arange(1, total + 1, dtype=torch.float32).unsqueeze(1)
    slots = layout.to_slots(values)
    assert torch.equal(layout.from_slots(slots), values)
    assert slots.shape[0] == sum(bucket.slots for bucket in layout.buckets)
    for bucket in layout.buckets:
        if layout.padding is not None and bucket.slots > SMALL_BUCKET_SLOTS:
            padding = layout.padding[bucket.start : bucket.start + bucket.slots]
            assert padding.float().mean() <= MAX_PADDING


def test_equal_lengths_are_not_copied() -> None:
    layout = AttentionLayout.of(offsets((4, 4, 4)))
    values = torch.randn(12, 2)
    assert layout.to_slots(values) is values
    assert layout.mask(layout.buckets[0], bidirectional, 0) is None


def test_empty_sequences_and_empty_batches() -> None:
    inputs = random_inputs((4, 3))
    with_gap = packed_attention(*inputs, AttentionLayout.of(offsets((0, 4, 0, 3))))
    torch.testing.assert_close(with_gap, packed_attention(*inputs, AttentionLayout.of(offsets((4, 3)))))
    nothing = packed_attention(*random_inputs(()), AttentionLayout.of(offsets(())))
    assert nothing.shape == (0, HEADS, HEAD_DIM)


def test_planted_bug_attended_padding_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(AttentionLayout, "mask", lambda *_: None)
    inputs = random_inputs(RAGGED)
    result = packed_attention(*inputs, AttentionLayout.of(offsets(RAGGED)))
    assert (result - naive(*inputs, RAGGED, lambda i, j, a, b: True)).abs().max() > 0.01
