"""Token and whole-word masking: against a loop that makes the same draws, and their statistics."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from toy_models import TOY_VOCABULARY, toy_batch, toy_sequence

from reknit.corruptions import masking
from reknit.corruptions.masking import mask_tokens, mask_tokens_twice, ordinary_ids, ordinary_tokens, word_units
from reknit.data.batch import Batch, View
from reknit.errors import ReknitError


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def naive_mask_tokens(
    batch: Batch, generator: torch.Generator, ratio: float, whole_words: bool, random_share: float, keep_share: float
) -> tuple[list[int], list[bool], list[bool]]:
    """The same draws, one token at a time: (tokens shown, asked for, hidden)."""
    draws = torch.rand(batch.num_tokens, 3, generator=generator)
    clean = batch.tokens.tolist()
    special_ids = set(batch.vocabulary.special)
    candidates = [i for i in range(batch.vocabulary.size) if i not in special_ids]
    shown, asked, hidden = list(clean), [False] * len(clean), [False] * len(clean)
    for start, stop in zip(batch.cu_seqlens[:-1].tolist(), batch.cu_seqlens[1:].tolist(), strict=True):
        words: list[list[int]] = []
        for place in range(start, stop):
            after_special = place == start or bool(batch.special[place - 1])
            opens = bool(batch.word_starts[place]) or bool(batch.special[place]) or after_special or not whole_words
            if opens:
                words.append([])
            words[-1].append(place)
        ordinary = [[p for p in word if not batch.special[p] and clean[p] not in special_ids] for word in words]
        drawn = [float(draws[word[0], 0]) for word in words]
        wanted = max(1, round(ratio * sum(map(len, ordinary))))
        taken = 0
        for number in sorted(range(len(words)), key=lambda n: drawn[n]):
            members = ordinary[number]
            if members and (taken == 0 or taken + len(members) / 2 <= wanted):
                for place in members:
                    asked[place] = True
                taken += len(members)
            elif members:
                break
    for place, wanted_here in enumerate(asked):
        if not wanted_here:
            continue
        treatment = float(draws[place, 1])
        if treatment < 1 - random_share - keep_share:
            shown[place], hidden[place] = batch.vocabulary.mask, True
        elif treatment < 1 - keep_share:
            shown[place], hidden[place] = candidates[int(float(draws[place, 2]) * len(candidates))], True
    return shown, asked, hidden


@settings(max_examples=60, deadline=None)
@given(
    lengths=st.lists(st.integers(2, 30), min_size=1, max_size=6),
    seed=st.integers(0, 10_000),
    ratio=st.sampled_from([0.15, 0.3, 0.5, 1.0]),
    whole_words=st.booleans(),
    shares=st.sampled_from([(0.1, 0.1), (0.0, 0.0), (0.5, 0.25)]),
)
def test_equals_the_loop(
    lengths: list[int], seed: int, ratio: float, whole_words: bool, shares: tuple[float, float]
) -> None:
    batch = toy_batch(seed, tuple(lengths))
    tokens = batch.tokens.clone()
    tokens[torch.rand(len(tokens), generator=rng(seed)) < 0.1] = 1  # some unknown tokens, which no one may ask for
    batch = replace(batch, tokens=tokens)
    view = mask_tokens(
        batch, rng(seed), ratio=ratio, whole_words=whole_words, random_share=shares[0], keep_share=shares[1]
    )
    shown, asked, hidden = naive_mask_tokens(batch, rng(seed), ratio, whole_words, *shares)
    assert view.predict.tolist() == asked
    assert view.masked.tolist() == hidden
    assert view.tokens.tolist() == shown
    assert torch.equal(view.targets, batch.tokens)


@pytest.mark.parametrize("whole_words", [False, True])
@pytest.mark.parametrize("ratio", [0.15, 0.3, 0.5])
def test_rates(whole_words: bool, ratio: float) -> None:
    batch = toy_batch(0, (128,) * 120)
    view = mask_tokens(batch, rng(), ratio=ratio, whole_words=whole_words)
    ordinary = ordinary_tokens(batch)
    asked = view.predict.sum() / ordinary.sum()
    assert abs(float(asked) - ratio) < (0.012 if whole_words else 0.004)
    count = view.predict.sum()
    masked = view.predict & (view.tokens == TOY_VOCABULARY.mask)
    assert abs(float(masked.sum() / count) - 0.8) < 0.03
    assert abs(float((view.masked & ~masked).sum() / count) - 0.1) < 0.025
    assert abs(float((view.predict & ~view.masked).sum() / count) - 0.1) < 0.025


def test_every_place_is_asked_for_alike() -> None:
    batch = toy_batch(0, (22,) * 50)
    asked = torch.zeros(22)
    for seed in range(40):
        asked += mask_tokens(batch, rng(seed), ratio=0.3).predict.view(50, 22).sum(dim=0)
    rates = asked[1:-1] / 2000
    assert (rates - 0.3).abs().max() < 0.04
    assert asked[0] == asked[-1] == 0


def test_replacements_are_uniform_ordinary_tokens() -> None:
    batch = toy_batch(0, (200,) * 100)
    view = mask_tokens(batch, rng(), ratio=0.5, random_share=1.0, keep_share=0.0)
    drawn = view.tokens[view.predict]
    assert not torch.isin(drawn, torch.tensor(TOY_VOCABULARY.special)).any()
    counts = torch.bincount(drawn, minlength=TOY_VOCABULARY.size)[5:].float()
    assert (counts / counts.mean() - 1).abs().max() < 0.3
    assert ordinary_ids(TOY_VOCABULARY).tolist() == list(range(5, 64))


def test_whole_words_stay_whole() -> None:
    batch = toy_batch(1, (40,) * 30)
    view = mask_tokens(batch, rng(), ratio=0.3, whole_words=True)
    units = word_units(batch)
    for unit in range(int(units[-1]) + 1):
        members = view.predict[units == unit]
        assert members.all() or not members.any()


def test_a_cut_word_does_not_join_the_special_token_before_it() -> None:
    batch = toy_batch(1, (6,))
    starts = batch.special.clone()  # no ordinary token starts a word
    assert word_units(replace(batch, word_starts=starts)).tolist() == [0, 1, 1, 1, 1, 2]


def test_every_sequence_has_a_prediction() -> None:
    batch = toy_batch(2, (3,) * 200 + (4,) * 100)
    for whole_words in (False, True):
        view = mask_tokens(batch, rng(), ratio=0.01, whole_words=whole_words)
        asked = torch.tensor([int(part.sum()) for part in view.predict.split(batch.cu_seqlens.diff().tolist())])
        assert (asked >= 1).all()


def test_sequences_without_ordinary_tokens() -> None:
    batch = toy_batch(2, (2, 5, 2))
    view = mask_tokens(batch, rng())
    assert not view.predict[:2].any()
    assert not view.predict[-2:].any()
    assert view.predict[2:7].sum() == 1
    nothing = toy_batch(2, (2, 2))
    assert not mask_tokens(nothing, rng()).predict.any()


def test_the_same_generator_gives_the_same_view() -> None:
    batch = toy_batch(5)
    first, second, other = (mask_tokens(batch, rng(seed), ratio=0.5) for seed in (3, 3, 4))
    assert torch.equal(first.tokens, second.tokens)
    assert not torch.equal(first.tokens, other.tokens)
    assert isinstance(first, View)


def test_first_sequence_keeps_its_mask_beside_other_neighbours() -> None:
    first = toy_sequence(20, rng(1))
    batches = [
        Batch.pack([first, *(toy_sequence(n, rng(n)) for n in rest)], TOY_VOCABULARY) for rest in ((9, 30), (50, 3, 3))
    ]
    masks = [mask_tokens(batch, rng(7), ratio=0.3).predict[:20] for batch in batches]
    assert torch.equal(*masks)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ratio": 0.0}, "ratio"),
        ({"ratio": 1.5}, "ratio"),
        ({"random_share": 0.7, "keep_share": 0.4}, "shares"),
        ({"random_share": -0.1}, "shares"),
    ],
)
def test_bad_settings(change: dict[str, float], message: str) -> None:
    with pytest.raises(ReknitError, match=message):
        mask_tokens(toy_batch(0), rng(), **change)


def test_tokenizer_without_mask_token() -> None:
    batch = replace(toy_batch(0), vocabulary=replace(TOY_VOCABULARY, mask=-1))
    with pytest.raises(ReknitError, match="no mask token"):
        mask_tokens(batch, rng())
    mask_tokens(batch, rng(), random_share=0.5, keep_share=0.5)


def test_spans_are_masked_together_and_end_at_special_tokens() -> None:
    batch = toy_batch(3, (42, 30, 5) * 30)
    view = mask_tokens(batch, rng(1), ratio=0.3, random_share=0.0, keep_share=0.0, longest_span=3)
    runs, length = [], 0
    for asked in [*view.predict.tolist(), False]:
        length, ended = (length + 1, 0) if asked else (0, length)
        runs += [ended] if ended else []
    # Single tokens would make runs of 1.43 on average (a share of .3 of all); spans of 1 to 3 make them longer.
    assert sum(runs) / len(runs) > 1.9
    assert not (view.predict & batch.special).any()
    for part, tokens in zip(view.predict.split([42, 30, 5] * 30), batch.tokens.split([42, 30, 5] * 30), strict=True):
        assert 1 <= int(part.sum()) <= max(3, round(0.3 * (len(tokens) - 2)) + 1)


def test_span_units_are_a_loop_over_the_drawn_lengths() -> None:
    batch = toy_batch(2, (9, 14, 4))
    draws = torch.rand(batch.num_tokens, generator=rng(5))
    lengths = [int(float(draw) * 3) + 1 for draw in draws]
    ends, total = set(), 0
    for length in lengths:
        total += length
        ends.add(total)
    special = batch.special.tolist()
    first = set(batch.cu_seqlens[:-1].tolist())
    starts = [p in ends or p in first or special[p] or (p > 0 and special[p - 1]) for p in range(batch.num_tokens)]
    starts[0] = True
    units, unit = [], -1
    for start in starts:
        unit += start
        units.append(unit)
    assert masking._span_units(batch, draws, 3).tolist() == units


@pytest.mark.parametrize("settings", [{"longest_span": 0}, {"longest_span": 2, "whole_words": True}])
def test_impossible_spans(settings: dict[str, object]) -> None:
    with pytest.raises(ReknitError, match="longest_span"):
        mask_tokens(toy_batch(0), rng(), **settings)


@given(st.integers(0, 2**20), st.booleans(), st.floats(0.05, 0.95), st.floats(0.05, 0.95))
def test_two_views_ask_for_units_in_one_order(seed: int, whole_words: bool, one: float, other: float) -> None:
    batch = toy_batch(seed % 97, (3, 40, 9, 25))
    ratios = (min(one, other), max(one, other))
    few, many = mask_tokens_twice(batch, rng(seed), ratios=ratios, whole_words=whole_words)
    assert not (few.predict & ~many.predict).any()
    for view, ratio in zip((few, many), ratios, strict=True):
        assert torch.equal(view.targets, batch.tokens)
        assert not (view.predict & ~ordinary_tokens(batch)).any()
        assert torch.equal(view.tokens[~view.predict], batch.tokens[~view.predict])
        asked = torch.stack([part.sum() for part in view.predict.split(batch.cu_seqlens.diff().tolist())])
        if not whole_words:
            assert asked.tolist() == [max(1, round(ratio * (length - 2))) for length in (3, 40, 9, 25)]
            continue
        words = word_units(batch)
        for word in words[view.predict].unique():
            assert view.predict[(words == word) & ordinary_tokens(batch)].all()


def test_two_views_draw_for_themselves_what_becomes_of_a_token() -> None:
    batch = toy_batch(0, (400,) * 10)
    few, many = mask_tokens_twice(batch, rng(), ratios=(0.4, 0.8), random_share=0.25, keep_share=0.25)
    hidden = few.masked[few.predict].float(), many.masked[few.predict].float()
    for each in hidden:
        assert each.mean() == pytest.approx(0.75, abs=0.04)
    assert (hidden[0] * hidden[1]).mean() == pytest.approx(0.75**2, abs=0.04)
    both = (few.tokens != many.tokens) & few.predict
    assert both.any()
    with pytest.raises(ReknitError, match="masking ratio is 0"):
        mask_tokens_twice(batch, rng(), ratios=(0.0, 0.4))
