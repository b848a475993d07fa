"""One token of each tagged span drawn: against a loop that makes the same draws, and what must always hold."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from toy_models import TOY_VOCABULARY, toy_batch, with_spans

from reknit.corruptions.span_token_masking import mask_span_tokens
from reknit.data.batch import Batch
from reknit.data.shard import shard_of
from reknit.errors import ReknitError
from reknit.objectives.masked_language_model import MaskedLanguageModelSpec


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def naive_asked(batch: Batch, generator: torch.Generator, ratio: float) -> list[bool]:
    draws = torch.rand(batch.num_tokens, 4, generator=generator).tolist()
    asked = [False] * batch.num_tokens
    for start, stop in zip(batch.cu_seqlens[:-1].tolist(), batch.cu_seqlens[1:].tolist(), strict=True):
        ordinary = [p for p in range(start, stop) if int(batch.tokens[p]) not in batch.vocabulary.special]
        spans: dict[int, list[int]] = {}
        for place in ordinary:
            if int(batch.tagged[place]) >= 0:
                spans.setdefault(int(batch.tagged[place]), []).append(place)
        wanted = max(1, round(ratio * len(ordinary))) if spans else 1
        candidates = [min(places, key=lambda p: draws[p][3]) for places in spans.values()] or ordinary
        for place in sorted(candidates, key=lambda p: draws[p][0])[:wanted]:
            asked[place] = True
    return asked


@settings(max_examples=80, deadline=None)
@given(
    lengths=st.lists(st.integers(2, 30), min_size=1, max_size=6).map(tuple),
    seed=st.integers(0, 10_000),
    ratio=st.sampled_from([0.05, 0.15, 0.5, 1.0]),
    unknown=st.sampled_from([0.0, 0.4]),
)
def test_equals_the_loop(lengths: tuple[int, ...], seed: int, ratio: float, unknown: float) -> None:
    batch = with_spans(toy_batch(seed, lengths), seed)
    gone = (torch.rand(batch.num_tokens, generator=rng(seed)) < unknown) & ~batch.special
    batch = replace(batch, tokens=batch.tokens.masked_fill(gone, 1))  # unknown tokens, also within spans
    view = mask_span_tokens(batch, rng(seed), ratio=ratio)
    assert view.predict.tolist() == naive_asked(batch, rng(seed), ratio)
    assert torch.equal(view.targets, batch.tokens)
    assert torch.equal(view.tokens[~view.masked], batch.tokens[~view.masked])
    assert not (view.masked & ~view.predict).any()
    asked = Counter(batch.tagged[view.predict].tolist())
    assert all(count == 1 for span, count in asked.items() if span >= 0), "two tokens of one span are asked for"


def test_the_budget_is_met_where_there_are_spans_enough() -> None:
    batch = with_spans(toy_batch(0, (128,) * 60), 0)
    view = mask_span_tokens(batch, rng())
    per_text = view.predict.view(60, 128).sum(dim=1)
    assert per_text.tolist() == [19] * 60  # 15% of 126
    assert (batch.tagged[view.predict] >= 0).all()
    masked = view.predict & (view.tokens == TOY_VOCABULARY.mask)
    assert float(masked.sum() / view.predict.sum()) == pytest.approx(0.8, abs=0.04)
    assert float((view.predict & ~view.masked).sum() / view.predict.sum()) == pytest.approx(0.1, abs=0.03)


def test_few_spans_give_what_they_have_and_none_give_one_token() -> None:
    batch = toy_batch(1, (42, 42, 2))
    tagged = torch.full_like(batch.tokens, -1)
    tagged[3:9], tagged[20] = 0, 1
    batch = replace(batch, tagged=tagged)
    asked = torch.zeros(batch.num_tokens)
    for seed in range(200):
        predict = mask_span_tokens(batch, rng(seed)).predict
        assert (int(predict[3:9].sum()), int(predict[20]), int(predict[:42].sum())) == (1, 1, 2)
        assert int(predict[43:83].sum()) == int(predict[42:].sum()) == 1
        asked += predict
    # Each token of the long span has the same draw, and so has each ordinary token of the text without spans.
    assert asked[3:9].min() > 15
    assert (asked[43:83] > 0).sum() > 35


def test_a_token_has_the_same_luck_in_a_share() -> None:
    batch = with_spans(toy_batch(0), 2)
    views = [mask_span_tokens(one, rng(3)) for one in (batch, *(shard_of(batch, rank, 3) for rank in range(3)))]
    for name in ("tokens", "targets", "predict", "masked"):
        assert torch.equal(torch.cat([getattr(view, name) for view in views[1:]]), getattr(views[0], name))


def test_what_cannot_be() -> None:
    with pytest.raises(ReknitError, match=r"set data\.tagger"):
        mask_span_tokens(toy_batch(0), rng())
    with pytest.raises(ReknitError, match="ratio"):
        mask_span_tokens(with_spans(toy_batch(0), 0), rng(), ratio=0.0)
    with pytest.raises(ReknitError, match="one_of_span"):
        MaskedLanguageModelSpec(one_of_span=True, whole_words=True)
