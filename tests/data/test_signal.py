"""Rows that are no tokens: packed, divided, moved and corrupted; texts never notice."""

from __future__ import annotations

import dataclasses
from dataclasses import replace

import pytest
import signal_checks as checks
import torch
from signal_checks import SIGNAL_ID, mixed_batch, mixed_sequences
from toy_models import generator, toy_batch, with_spans

from reknit.corruptions.blocks import cut_into_blocks
from reknit.corruptions.bottleneck import insert_bottleneck
from reknit.corruptions.cluster_swapping import swap_by_clusters
from reknit.corruptions.identifier_masking import mask_identifiers
from reknit.corruptions.masking import mask_tokens, mask_tokens_twice
from reknit.corruptions.next_token import predict_next
from reknit.corruptions.ngrams import mask_bigrams
from reknit.corruptions.noising import noised
from reknit.corruptions.rewriting import damaged_then_clean
from reknit.corruptions.span_token_masking import mask_span_tokens
from reknit.data.batch import Batch, Shard, Signal, View
from reknit.data.shard import for_whole_batch, shard_of
from reknit.errors import ReknitError

CLUSTERS = torch.where(torch.arange(64) < 5, -1, torch.arange(64) % 3)


def with_tags(batch: Batch) -> Batch:
    return with_spans(batch, 1) if batch.tagged is None else batch


CORRUPTIONS = {
    "mask": mask_tokens,
    "whole words": lambda batch, rng: mask_tokens(batch, rng, whole_words=True),
    "spans": lambda batch, rng: mask_tokens(batch, rng, longest_span=3),
    "twice": lambda batch, rng: mask_tokens_twice(batch, rng, ratios=(0.2, 0.4))[1],
    "one of a span": lambda batch, rng: mask_span_tokens(with_tags(batch), rng),
    "identifiers": lambda batch, rng: mask_identifiers(with_tags(batch), rng)[0],
    "next": predict_next,
    "next, masked": lambda batch, rng: predict_next(batch, rng, masked_share=0.2),
    "swapped": lambda batch, rng: swap_by_clusters(batch, rng, CLUSTERS, torch.full((3, 3), 1 / 3)),
    "bigrams": lambda batch, rng: mask_bigrams(batch, rng, torch.zeros_like(batch.special))[0],
    "noised": lambda batch, rng: noised(batch, rng)[0],
    "rewritten": lambda batch, rng: damaged_then_clean(batch, rng).view,
    "bottleneck": insert_bottleneck,
}
MOVES_ROWS = {"bigrams", "noised", "rewritten", "bottleneck"}


def pack(sequences: list[checks.Sequence]) -> Batch:
    texts, signals = zip(*sequences, strict=True)
    return Batch.pack(texts, checks.VOCABULARY, signals=signals)


def test_packing() -> None:
    checks.check_packs(pack)
    texts = [text for text, _ in mixed_sequences()]
    assert Batch.pack(texts, checks.VOCABULARY).signal is None
    assert Batch.pack(texts, checks.VOCABULARY, signals=[None] * len(texts)).signal is None


def test_one_kind_in_a_batch() -> None:
    signal = mixed_batch().signal
    with pytest.raises(ValueError, match="one kind of signal, not frame, patch"):
        Signal.join([signal, replace(signal, kind="frame")], [0, 100])


@pytest.mark.parametrize("size", [2, 3, 6])
def test_shards(size: int) -> None:
    checks.check_shards(shard_of, size)


def test_moving() -> None:
    checks.check_moves(Batch.to)
    shard = shard_of(mixed_batch(), 1, 2).to("meta")
    assert shard.signal.values.device.type == shard.whole.signal.values.device.type == "meta"


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_corruptions_leave_it_alone(name: str) -> None:
    checks.check_leaves_signals_alone(CORRUPTIONS[name])
    if name in MOVES_ROWS:
        with pytest.raises(ReknitError, match="adds, drops or moves tokens"):
            CORRUPTIONS[name](mixed_batch(), generator(0))


@pytest.mark.parametrize("name", sorted(CORRUPTIONS.keys() - MOVES_ROWS))
def test_views_are_cut_with_it(name: str) -> None:
    """What is drawn for the whole batch is cut to a shard, the signal too."""
    batch = with_tags(mixed_batch())
    whole = CORRUPTIONS[name](batch, generator(5))
    views = [CORRUPTIONS[name](shard_of(batch, rank, 3), generator(5)) for rank in range(3)]
    for view in views:
        checks.check_signal_stands_on_its_rows(view)
    assert torch.equal(torch.cat([view.signal.values for view in views]), whole.signal.values)


def test_blocks_cannot_have_any() -> None:
    with pytest.raises(ReknitError, match="adds, drops or moves tokens"):
        cut_into_blocks(mixed_batch(), 5)


def test_a_clean_view_shows_it() -> None:
    checks.check_signal_stands_on_its_rows(View.clean(mixed_batch()))
    assert View.clean(toy_batch(0)).signal is None


# Planted bugs.


def pack_forgets_starts(sequences: list[checks.Sequence]) -> Batch:
    texts, signals = zip(*sequences, strict=True)
    batch = Batch.pack(texts, checks.VOCABULARY)
    return replace(batch, signal=Signal.join(signals, [0] * len(signals)))


def pack_mixes_up(sequences: list[checks.Sequence]) -> Batch:
    batch = pack(sequences)
    return replace(batch, signal=replace(batch.signal, values=batch.signal.values.flip(0)))


def shard_on_the_old_axis(batch: Batch, rank: int, size: int) -> Batch:
    shard = shard_of(batch, rank, size)
    return replace(shard, signal=replace(shard.signal, at=shard.signal.at + shard.first_token))


def shard_with_all(batch: Batch, rank: int, size: int) -> Batch:
    return replace(shard_of(batch, rank, size), signal=batch.signal)


def shard_without(batch: Batch, rank: int, size: int) -> Batch:
    return replace(shard_of(batch, rank, size), signal=None)


def shard_loses_the_last(batch: Batch, rank: int, size: int) -> Batch:
    shard = shard_of(batch, rank, size)
    fields = {name: getattr(shard.signal, name) for name in ("at", "places", "kind")}
    return replace(shard, signal=Signal(values=shard.signal.values.roll(1, dims=0), **fields))


def to_forgets(batch: Batch, device: str) -> Batch:
    return replace(batch.to(device), signal=batch.signal)


def to_loses(batch: Batch, device: str) -> Batch:
    return replace(batch.to(device), signal=None)


@for_whole_batch
def masks_everything(batch: Batch, rng: torch.Generator) -> View:
    asked = torch.ones_like(batch.special)
    return View(batch.tokens, batch.cu_seqlens, batch.tokens, asked, asked, signal=batch.signal)


def replaces_ids(batch: Batch, rng: torch.Generator) -> View:
    view = mask_tokens(batch, rng)
    return replace(view, tokens=view.tokens.masked_fill(view.tokens == SIGNAL_ID, 7))


def loses_it(batch: Batch, rng: torch.Generator) -> View:
    return replace(mask_tokens(batch, rng), signal=None)


def sees_it(batch: Batch, rng: torch.Generator) -> View:
    return mask_tokens(batch, rng, ratio=0.15 if batch.signal is None else 0.5)


def damages_values(batch: Batch, rng: torch.Generator) -> View:
    view = mask_tokens(batch, rng)
    if view.signal is None:
        return view
    return replace(view, signal=replace(view.signal, values=view.signal.values * 0))


def says_something_else(batch: Batch, rng: torch.Generator) -> View:
    raise ReknitError("no")


@pytest.mark.parametrize(
    ("check", "bug", "message"),
    [
        (checks.check_packs, pack_forgets_starts, "the signal stands at"),
        (checks.check_packs, pack_mixes_up, "holds something else"),
        (checks.check_shards, shard_on_the_old_axis, "the signal stands at"),
        (checks.check_shards, shard_with_all, "the signal stands at"),
        (checks.check_shards, shard_without, "the signal is gone"),
        (checks.check_shards, shard_loses_the_last, "the values of all shards"),
        (checks.check_moves, to_forgets, "stayed on the cpu"),
        (checks.check_moves, to_loses, "the signal is gone"),
        (checks.check_leaves_signals_alone, masks_everything, "rows of the signal are predict"),
        (checks.check_leaves_signals_alone, replaces_ids, "the signal stands at"),
        (checks.check_leaves_signals_alone, loses_it, "the signal is gone"),
        (checks.check_leaves_signals_alone, sees_it, "depend on the signal"),
        (checks.check_leaves_signals_alone, damages_values, "values are others"),
        (checks.check_leaves_signals_alone, says_something_else, "no"),
    ],
)
def test_a_bug_is_caught(check, bug, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        check(bug)


def test_every_field_of_a_batch_is_looked_at_here_or_in_test_shard() -> None:
    """A new field must be cut and moved too: it is added here when it is."""
    assert {field.name for field in dataclasses.fields(Batch)} == {
        *("tokens", "cu_seqlens", "special", "word_starts", "vocabulary", "sequences_per_example"),
        *("groups", "tagged", "teacher_targets", "shard", "signal"),
    }
    assert {field.name for field in dataclasses.fields(Shard)} == {"whole", "first", "last", "first_token"}
