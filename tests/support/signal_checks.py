"""The checks of rows that are no tokens, on batches where they stand among tokens. Each raises AssertionError.

tests/data/test_signal.py proves for each check here that it fails on the bug it is for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor
from toy_models import TOY_VOCABULARY, generator, toy_sequence

from reknit.data.batch import Batch, Signal, View, Vocabulary
from reknit.errors import ReknitError

SIGNAL_ID = 1
VOCABULARY = replace(TOY_VOCABULARY, signal=SIGNAL_ID)
LENGTHS = (9, 6, 14, 5, 11, 8)
WIDTH = 4

Sequence = tuple[tuple[Tensor, Tensor, Tensor], Signal | None]
Corrupt = Callable[[Batch, torch.Generator], View]


def mixed_sequences(seed: int = 0, lengths: tuple[int, ...] = LENGTHS) -> list[Sequence]:
    """Texts of which the first has no patch, the second nothing else inside, and the others both."""
    rng, made = generator(seed), []
    for number, length in enumerate(lengths):
        tokens, special, starts = toy_sequence(length, rng)
        inner = torch.rand(length - 2, generator=rng) < 0.5
        inner = torch.full_like(inner, number == 1) if number < 2 else inner
        at = inner.nonzero().squeeze(1) + 1
        tokens[at], special[at], starts[at] = SIGNAL_ID, True, True
        values = torch.randn(len(at), WIDTH, generator=rng)
        places = torch.stack((torch.full_like(at, number), torch.arange(len(at))), dim=1)
        made.append(((tokens, special, starts), Signal(at, values, places, "patch") if len(at) else None))
    return made


def mixed_batch(seed: int = 0, vocabulary: Vocabulary = VOCABULARY) -> Batch:
    sequences, signals = zip(*mixed_sequences(seed), strict=True)
    return Batch.pack(sequences, vocabulary, signals=signals)


def check_signal_stands_on_its_rows(batch: Batch | View) -> None:
    """A signal's rows are those with its id, in order, and it says something of each."""
    assert batch.signal is not None, "the signal is gone"
    rows = (batch.tokens == SIGNAL_ID).nonzero().squeeze(1)
    assert torch.equal(batch.signal.at, rows), f"the signal stands at {batch.signal.at.tolist()}, not {rows.tolist()}"
    held = {name: len(getattr(batch.signal, name)) for name in ("values", "places")}
    assert held == {"values": len(rows), "places": len(rows)}, f"of {len(rows)} rows it holds {held}"


def check_packs(pack: Callable[[list[Sequence]], Batch]) -> None:
    """Packed rows are those of the sequences, one behind the other (naive: a loop over all rows)."""
    sequences = mixed_sequences()
    batch = pack(sequences)
    check_signal_stands_on_its_rows(batch)
    assert batch.signal is not None
    expected = []
    start = 0
    for (tokens, *_), signal in sequences:
        if signal is not None:
            for place, values, where in zip(signal.at.tolist(), signal.values, signal.places, strict=True):
                expected.append((start + place, values, where))
        start += len(tokens)
    for row, (at, values, where) in enumerate(expected):
        assert int(batch.signal.at[row]) == at, f"row {row} stands at {int(batch.signal.at[row])}, not {at}"
        assert torch.equal(batch.signal.values[row], values), f"row {row} holds something else"
        assert torch.equal(batch.signal.places[row], where), f"row {row} is at another place of its picture"
    assert len(batch.signal.at) == len(expected), "rows came from nowhere"


def check_shards(cut: Callable[[Batch, int, int], Batch], size: int = 3) -> None:
    """Shards are the whole in order, each on an axis of its own."""
    batch = mixed_batch()
    shards = [cut(batch, rank, size) for rank in range(size)]
    for shard in shards:
        check_signal_stands_on_its_rows(shard)
    signals = [shard.signal for shard in shards if shard.signal is not None]
    assert batch.signal is not None
    for name in ("values", "places"):
        joined = torch.cat([getattr(signal, name) for signal in signals])
        assert torch.equal(joined, getattr(batch.signal, name)), f"the {name} of all shards are not the whole's"
    at = torch.cat([signal.at + shard.first_token for signal, shard in zip(signals, shards, strict=True)])
    assert torch.equal(at, batch.signal.at), "positions of all shards are not the whole's"


def check_moves(to: Callable[[Batch, str], Batch]) -> None:
    """On another device, every tensor is there, those of the whole batch too."""
    moved = to(mixed_batch(), "meta")
    assert moved.signal is not None, "the signal is gone"
    for name in ("at", "values", "places"):
        device = getattr(moved.signal, name).device.type
        assert device == "meta", f"{name} stayed on the {device}"


def check_leaves_signals_alone(corrupt: Corrupt) -> None:
    """Rows of a signal keep their id and are neither asked for nor masked; what a text loses is as without them.

    A corruption that moves rows about says in one line that it cannot have any.
    """
    batch = mixed_batch()
    try:
        view = corrupt(batch, generator(3))
    except ReknitError as error:
        complaint = str(error)
        assert "so it cannot be used for pictures or sounds" in complaint, complaint
        return
    check_signal_stands_on_its_rows(view)
    assert batch.signal is not None
    assert view.signal is not None
    assert torch.equal(view.signal.values, batch.signal.values), "the signal's values are others"
    for name in ("predict", "masked"):
        touched = getattr(view, name)[batch.signal.at]
        assert not touched.any(), f"{int(touched.sum())} rows of the signal are {name}"
    assert view.predict.any(), "nothing is asked for"
    # Without a signal the same rows are special tokens and no more: all that a text sees is the same.
    plain = corrupt(replace(batch, signal=None), generator(3))
    for name in ("tokens", "targets", "predict", "masked"):
        assert torch.equal(getattr(plain, name), getattr(view, name)), f"{name} depend on the signal"
    assert plain.signal is None, "a text has a signal"
