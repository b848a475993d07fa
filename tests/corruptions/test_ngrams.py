"""Bigrams hidden behind one mask: against a loop that makes the same draws, and what must hold of every view."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from toy_models import TOY_VOCABULARY, toy_batch

from reknit.corruptions.masking import ordinary_tokens
from reknit.corruptions.ngrams import ALONE, FIRST, SECOND, SEEN, mask_bigrams, separate, view_places
from reknit.data.batch import Batch
from reknit.data.shard import shard_of
from reknit.errors import ReknitError

MASK = TOY_VOCABULARY.mask
lengths = st.lists(st.integers(2, 24), min_size=1, max_size=6).map(tuple)


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def some_bigrams(batch: Batch, seed: int, share: float) -> torch.Tensor:
    """[T] bool, a share of the places where two ordinary tokens stand side by side."""
    ordinary = ordinary_tokens(batch)
    both = ordinary & torch.cat((ordinary[1:], torch.tensor([False])))
    return both & (torch.rand(batch.num_tokens, generator=rng(seed)) < share)


def naive_view(
    batch: Batch, bigrams: list[bool], draws: list[float], ratio: float, joined: bool
) -> tuple[list[list[int]], list[int]]:
    """One token at a time: the sequences that are shown, and what became of each token."""
    clean, became, shown = batch.tokens.tolist(), [SEEN] * batch.num_tokens, []
    ordinary = ordinary_tokens(batch).tolist()
    for start, stop in zip(batch.cu_seqlens[:-1].tolist(), batch.cu_seqlens[1:].tolist(), strict=True):
        units, place = [], start
        while place < stop:
            size = 2 if bigrams[place] else 1
            units.append(list(range(place, place + size)))
            place += size
        wanted, hidden = max(1, round(ratio * sum(ordinary[start:stop]))), 0
        for unit in sorted((unit for unit in units if ordinary[unit[0]]), key=lambda unit: draws[unit[0]]):
            if hidden and hidden + len(unit) / 2 > wanted:
                break
            hidden += len(unit)
            for number, token in enumerate(unit):
                became[token] = (FIRST, SECOND)[number] if joined and len(unit) == 2 else ALONE
        shown.append([clean[t] if became[t] == SEEN else MASK for t in range(start, stop) if became[t] != SECOND])
    return shown, became


@settings(max_examples=120, deadline=None)
@given(lengths, st.integers(0, 1000), st.sampled_from([0.0, 0.3, 0.7, 1.0]), st.floats(0.05, 0.9), st.booleans())
def test_against_a_loop(lengths: tuple[int, ...], seed: int, share: float, ratio: float, joined: bool) -> None:
    batch = toy_batch(seed, lengths)
    bigrams = some_bigrams(batch, seed, share)
    view, became = mask_bigrams(batch, rng(seed + 1), bigrams, ratio=ratio, joined=joined)
    draws = torch.rand(batch.num_tokens, generator=rng(seed + 1)).tolist()
    shown, expected = naive_view(batch, bigrams.tolist(), draws, ratio, joined)
    assert became.tolist() == expected
    assert [view.tokens[a:b].tolist() for a, b in zip(view.cu_seqlens, view.cu_seqlens[1:], strict=False)] == shown
    assert torch.equal(view.masked, view.tokens == MASK)
    assert torch.equal(view.predict, view.masked)


@settings(max_examples=60, deadline=None)
@given(lengths, st.integers(0, 1000), st.floats(0.05, 0.9))
def test_every_token_has_its_place_in_the_view(lengths: tuple[int, ...], seed: int, ratio: float) -> None:
    batch = toy_batch(seed, lengths)
    bigrams = some_bigrams(batch, seed, 0.6)
    view, became = mask_bigrams(batch, rng(seed + 1), bigrams, ratio=ratio)
    places = view_places(became)
    assert torch.equal(view.tokens[places[became == SEEN]], batch.tokens[became == SEEN])
    assert view.masked[places[became != SEEN]].all()
    # A mask stands for one token, or for the two of a known bigram.
    firsts = (became == FIRST).nonzero().squeeze(1)
    assert bigrams[firsts].all()
    assert torch.equal((became == SECOND).nonzero().squeeze(1), firsts + 1)
    assert torch.equal(places[firsts], places[firsts + 1])
    assert places.diff().sum() == view.tokens.numel() - 1
    assert int(view.masked.sum()) == int(((became == ALONE) | (became == FIRST)).sum())


@given(st.lists(st.booleans(), max_size=40))
def test_overlapping_bigrams_are_taken_from_left_to_right(begins: list[bool]) -> None:
    expected, free = [], 0
    for place, begin in enumerate(begins):
        expected.append(begin and place >= free)
        free = place + 2 if expected[-1] else free
    assert separate(torch.tensor(begins, dtype=torch.bool)).tolist() == expected


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_the_ratio_is_kept_however_many_bigrams_there_are(share: float) -> None:
    batch = toy_batch(0, (122,) * 80)
    _, became = mask_bigrams(batch, rng(1), some_bigrams(batch, 0, share), ratio=0.15)
    hidden = (became != SEEN).view(80, 122).sum(dim=1)
    assert ((hidden - 18).abs() <= 1).all()
    if not share:
        assert not (became >= FIRST).any()
    else:
        # A token's chance to be hidden does not depend on whether it is in a bigram.
        inside = separate(some_bigrams(batch, 0, share))
        inside[1:] |= inside[:-1].clone()
        assert float((became != SEEN)[inside].float().mean()) == pytest.approx(0.15, abs=0.015)


def test_processes_that_share_a_step_hide_the_same() -> None:
    batch = toy_batch(3)
    bigrams = some_bigrams(batch, 3, 0.7)
    whole, became = mask_bigrams(batch, rng(5), bigrams, ratio=0.4)
    shares = [mask_bigrams(shard_of(batch, rank, 2), rng(5), bigrams, ratio=0.4) for rank in range(2)]
    assert (became == SECOND).any()
    assert torch.equal(torch.cat([view.tokens for view, _ in shares]), whole.tokens)
    assert torch.equal(torch.cat([part for _, part in shares]), became)
    for view, part in shares:
        assert view.tokens.numel() == int(view.cu_seqlens[-1]) == int(view_places(part)[-1]) + 1


def test_bad_settings() -> None:
    batch = toy_batch(0)
    nothing = torch.zeros_like(batch.special)
    with pytest.raises(ReknitError, match="ratio"):
        mask_bigrams(batch, rng(), nothing, ratio=0.0)
    bare = replace(batch, vocabulary=replace(TOY_VOCABULARY, mask=-1))
    with pytest.raises(ReknitError, match="no mask token"):
        mask_bigrams(bare, rng(), nothing)
