"""Identifiers hidden wherever they occur: against a loop that makes the same draws."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from toy_models import TOY_VOCABULARY, toy_batch, with_spans

from reknit.corruptions.identifier_masking import first_occurrences, mask_identifiers
from reknit.data.batch import Batch
from reknit.data.shard import shard_of
from reknit.errors import ReknitError


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def few_names(seed: int, lengths: tuple[int, ...], names: int = 4) -> Batch:
    """Texts of few different tokens, so that many spans are equal."""
    batch = toy_batch(seed, lengths)
    return with_spans(replace(batch, tokens=torch.where(batch.special, batch.tokens, 5 + batch.tokens % names)), seed)


def naive(batch: Batch, generator: torch.Generator, share: float) -> tuple[list[bool], list[bool]]:
    """[T] hidden, and [T] hidden and of an identifier that occurs once."""
    draws = torch.rand(batch.num_tokens, generator=generator).tolist()
    hidden, once = [False] * batch.num_tokens, [False] * batch.num_tokens
    for start, stop in zip(batch.cu_seqlens[:-1].tolist(), batch.cu_seqlens[1:].tolist(), strict=True):
        spans: dict[int, list[int]] = {}
        for place in range(start, stop):
            if int(batch.tagged[place]) >= 0:
                spans.setdefault(int(batch.tagged[place]), []).append(place)
        identifiers: dict[tuple[int, ...], list[list[int]]] = {}
        for places in spans.values():
            name = tuple(int(batch.tokens[place]) for place in places)
            if not set(name) & set(batch.vocabulary.special):
                identifiers.setdefault(name, []).append(places)
        drawn = {name: draws[occurrences[0][0]] for name, occurrences in identifiers.items()}
        for name, occurrences in identifiers.items():
            if drawn[name] < share or drawn[name] == min(drawn.values()):
                for place in (place for places in occurrences for place in places):
                    hidden[place], once[place] = True, len(occurrences) == 1
    return hidden, once


@settings(max_examples=80, deadline=None)
@given(
    lengths=st.lists(st.integers(2, 30), min_size=1, max_size=6).map(tuple),
    seed=st.integers(0, 10_000),
    share=st.sampled_from([0.01, 0.3, 0.5, 1.0]),
    unknown=st.sampled_from([0.0, 0.3]),
)
def test_equals_the_loop(lengths: tuple[int, ...], seed: int, share: float, unknown: float) -> None:
    batch = few_names(seed, lengths)
    gone = (torch.rand(batch.num_tokens, generator=rng(seed)) < unknown) & ~batch.special
    batch = replace(batch, tokens=batch.tokens.masked_fill(gone, 1))
    view, once = mask_identifiers(batch, rng(seed), share=share)
    hidden, expected_once = naive(batch, rng(seed), share)
    assert view.masked.tolist() == view.predict.tolist() == hidden
    assert once.tolist() == expected_once
    assert torch.equal(view.tokens, batch.tokens.masked_fill(view.masked, TOY_VOCABULARY.mask))
    assert torch.equal(view.targets, batch.tokens)


def test_an_identifier_is_known_by_its_tokens_within_its_text() -> None:
    tokens = torch.tensor([2, 7, 8, 9, 7, 8, 7, 3, 2, 7, 8, 3])
    numbers = torch.tensor([-1, 0, 0, -1, 1, 1, 2, -1, -1, 3, 3, -1])
    special = torch.isin(tokens, torch.tensor([2, 3]))
    parts = [(tokens[a:b], special[a:b], special[a:b], numbers[a:b]) for a, b in ((0, 8), (8, 12))]
    batch = Batch.pack(parts, TOY_VOCABULARY)
    assert first_occurrences(batch).tolist() == [-1, 1, 1, -1, 1, 1, 6, -1, -1, 9, 9, -1]


def test_half_of_the_identifiers_are_hidden_and_all_of_a_share_of_one() -> None:
    batch = with_spans(toy_batch(0, (60,) * 80), 0)
    inside = batch.tagged >= 0
    hidden = mask_identifiers(batch, rng(), share=0.5)[0].masked
    assert float(hidden.sum() / inside.sum()) == pytest.approx(0.5, abs=0.04)
    assert torch.equal(mask_identifiers(batch, rng(), share=1.0)[0].masked, inside)
    lone = mask_identifiers(batch, rng(), share=1e-9)[0].masked.view(80, 60)
    assert (lone.sum(dim=1) >= 1).all()
    assert float(lone.sum()) < 0.2 * float(inside.sum())


def test_processes_that_share_a_step_hide_the_same() -> None:
    batch = few_names(0, (5, 17, 9, 12, 24, 3, 14, 20))
    found = [mask_identifiers(one, rng(3)) for one in (batch, *(shard_of(batch, rank, 3) for rank in range(3)))]
    assert torch.equal(torch.cat([view.tokens for view, _ in found[1:]]), found[0][0].tokens)
    assert torch.equal(torch.cat([once for _, once in found[1:]]), found[0][1])


def test_what_cannot_be() -> None:
    batch = with_spans(toy_batch(0), 0)
    with pytest.raises(ReknitError, match=r"set data\.tagger"):
        mask_identifiers(toy_batch(0), rng())
    for share in (0.0, 1.1):
        with pytest.raises(ReknitError, match="share of identifiers"):
            mask_identifiers(batch, rng(), share=share)
    with pytest.raises(ReknitError, match="no mask token"):
        mask_identifiers(replace(batch, vocabulary=replace(TOY_VOCABULARY, mask=-1)), rng())
