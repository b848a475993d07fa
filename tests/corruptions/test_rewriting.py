"""A damaged text with the clean one behind it: what stands where, who sees whom, and what gives way in long texts."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from toy_models import RAGGED, TOY_VOCABULARY, toy_batch, toy_encoder

from reknit.corruptions.noising import noised
from reknit.corruptions.rewriting import Rewriting, beginnings, damaged_then_clean
from reknit.data.batch import Batch, View
from reknit.data.shard import shard_of


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def parts_of(made: Rewriting) -> list[tuple[list[int], list[int]]]:
    """Each text's damaged part and its clean one."""
    found = []
    for first, last in pairwise(made.view.cu_seqlens.tolist()):
        behind = (made.places[first:last] >= 0).tolist()
        assert behind == sorted(behind), "the clean part is not behind the damaged one"
        tokens = made.view.tokens[first:last].tolist()
        found.append((tokens[: behind.count(False)], tokens[behind.count(False) :]))
    return found


def test_the_clean_text_stands_behind_the_damaged_one() -> None:
    batch = toy_batch(0, (5, 17, 2, 9))
    made = damaged_then_clean(batch, rng(3))
    damaged, unseen = noised(batch, rng(3), ratio=0.15, mean_span=5.0, permute_sentences=False)
    row = 0
    for text, (seen, clean) in enumerate(parts_of(made)):
        first, last = batch.cu_seqlens[text : text + 2].tolist()
        assert seen == damaged.tokens[slice(*damaged.cu_seqlens[text : text + 2].tolist())].tolist()
        assert clean == batch.tokens[first + 1 : last].tolist()
        row += len(seen)
        for place in range(first + 1, last):
            assert made.places[row] == place
            assert made.view.predict[row] == (place < last - 1), "all is asked for but the closing token"
            assert made.unseen[row] == unseen[place]
            assert not made.view.masked[row]
            row += 1
    assert row == made.view.tokens.numel()
    assert not made.view.predict[made.places < 0].any()
    in_front = made.places < 0
    assert torch.equal(made.view.masked[in_front], made.view.tokens[in_front] == TOY_VOCABULARY.mask)
    assert made.unseen.sum() == unseen.sum() > 4


def test_who_sees_whom() -> None:
    made = damaged_then_clean(toy_batch(1, (12,)), rng(2))
    view, behind = made.view, (made.places >= 0).tolist()
    count = view.tokens.numel()
    assert 5 < behind.index(True) < count - 5
    encoder = toy_encoder().eval()

    def states(view: View) -> torch.Tensor:
        with torch.no_grad():
            return encoder(view, layers=[1]).last

    for changed in range(count):
        another = 9 if view.tokens[changed] != 9 else 8
        other = replace(view, tokens=torch.where(torch.arange(count) == changed, another, view.tokens))
        moved = (states(view) - states(other)).abs().amax(dim=1) > 1e-7
        assert moved.tolist() == [not behind[changed] or at >= changed for at in range(count)]


def test_texts_too_long_take_part_with_their_beginnings() -> None:
    batch = toy_batch(4, (40, 9, 16, 17, 2))
    made = damaged_then_clean(batch, rng(), limit=32)
    whole = damaged_then_clean(batch, rng())
    assert made.view.cu_seqlens.diff().max() <= 32 < whole.view.cu_seqlens.diff().max()
    for text, (_, clean) in enumerate(parts_of(made)):
        tokens = batch.tokens[batch.cu_seqlens[text] : batch.cu_seqlens[text + 1]].tolist()
        expected = tokens[1:] if len(tokens) <= 16 else [*tokens[1:15], TOY_VOCABULARY.sep]
        assert clean == expected
    assert torch.equal(batch.tokens[made.places[made.view.predict]], made.view.targets[made.view.predict])
    short = toy_batch(5, (14, 5))
    for one, other in zip(damaged_then_clean(short, rng(), limit=32), damaged_then_clean(short, rng()), strict=True):
        if isinstance(one, View):
            one, other = one.tokens, other.tokens
        assert torch.equal(one, other)


def test_a_text_that_grows_by_masks_still_fits() -> None:
    """Many spans of no tokens: the end of the clean text gives way."""
    batch = toy_batch(6, (16, 7))
    assert damaged_then_clean(batch, rng(), ratio=0.5, mean_span=0.7).view.cu_seqlens.diff()[0] > 32
    made = damaged_then_clean(batch, rng(), ratio=0.5, mean_span=0.7, limit=32)
    assert made.view.cu_seqlens.diff()[0] == 32
    (_, clean), _ = parts_of(made)
    assert 1 < len(clean) < 15
    assert clean == batch.tokens[1 : 1 + len(clean)].tolist()


@pytest.mark.parametrize("limit", [None, 20])
def test_shares_are_parts_of_the_whole(limit: int | None) -> None:
    batch = toy_batch(2, (2, 13, 9, 24, 20, 5))
    whole = damaged_then_clean(batch, rng(1), limit=limit)
    shares = [shard_of(batch, rank, 2) for rank in range(2)]
    made = [damaged_then_clean(share, rng(1), limit=limit) for share in shares]
    for name in ("tokens", "predict", "targets", "masked"):
        assert torch.equal(torch.cat([getattr(one.view, name) for one in made]), getattr(whole.view, name))
    assert torch.equal(torch.cat([one.unseen for one in made]), whole.unseen)
    assert torch.equal(torch.cat([one.view.attention.behind for one in made]), whole.view.attention.behind)
    firsts = (share.first_token for share in shares)
    places = [torch.where(one.places < 0, -1, one.places + first) for one, first in zip(made, firsts, strict=True)]
    assert torch.equal(torch.cat(places), whole.places)
    lengths = torch.cat([one.view.cu_seqlens.diff() for one in made])
    assert torch.equal(lengths, whole.view.cu_seqlens.diff())


def test_a_tokenizer_that_adds_nothing() -> None:
    tokens = torch.arange(5, 17)
    nothing = torch.zeros(12, dtype=torch.bool)
    batch = Batch.pack([(tokens, nothing, ~nothing)], TOY_VOCABULARY)
    made = damaged_then_clean(batch, rng(), limit=16)
    assert parts_of(made)[0][1] == list(range(5, 13))
    assert made.view.predict.sum() == 8


def test_beginnings_keep_spans_and_whole_texts() -> None:
    batch = replace(toy_batch(0, RAGGED), tagged=torch.arange(sum(RAGGED)))
    short, source = beginnings(batch, 12)
    assert short.cu_seqlens.diff().tolist() == [min(length, 12) for length in RAGGED]
    assert torch.equal(short.tokens, batch.tokens[source])
    assert torch.equal(short.tagged, source)
    assert torch.equal(beginnings(batch, 24)[0].tokens, batch.tokens)
