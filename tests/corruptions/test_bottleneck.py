"""One more token in each text, and what stands behind it learns of what stands before it through it alone."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from toy_models import RAGGED, TOY_VOCABULARY, toy_batch, toy_encoder

from reknit.corruptions.bottleneck import insert_bottleneck
from reknit.data.batch import Batch, View
from reknit.data.shard import shard_of
from reknit.errors import ReknitError


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def places_of(batch: Batch, view: View) -> list[int]:
    """Where each text's inserted token stands; of several that fit, the one that what is asked for says."""
    found = []
    for text, (first, last) in enumerate(pairwise(view.cu_seqlens.tolist())):
        asked = view.predict[first:last].nonzero().squeeze(1).tolist()
        clean = batch.tokens[batch.cu_seqlens[text] : batch.cu_seqlens[text + 1]].tolist()
        seen = view.tokens[first:last].tolist()
        fits = [place for place in range(len(seen)) if seen[:place] + seen[place + 1 :] == clean]
        assert all(seen[place] == TOY_VOCABULARY.sep for place in fits[:1])
        found.append(asked[0] - 1 if asked else fits[-1])
        assert found[-1] in fits
    return found


def test_every_place_is_drawn_and_what_follows_is_asked_for() -> None:
    batch = toy_batch(0, (6,) * 200)
    view = insert_bottleneck(batch, rng())
    places = places_of(batch, view)
    assert {place for place in places if place < 5} == {1, 2, 3, 4}
    for (first, _), place in zip(pairwise(view.cu_seqlens.tolist()), places, strict=True):
        asked = view.predict[first : first + 7].tolist()
        assert asked == [place < at < 6 for at in range(7)]


def test_the_second_half_sees_the_first_through_the_bottleneck_alone() -> None:
    batch = toy_batch(1, (12,))
    views = [insert_bottleneck(batch, rng(seed)) for seed in range(20)]
    view, place = next((view, place) for view in views if 3 < (place := places_of(batch, view)[0]) < 9)
    encoder = toy_encoder().eval()

    def states(view: View) -> torch.Tensor:
        with torch.no_grad():
            return encoder(view, layers=[1]).last

    # Within one layer nothing has gone through the bottleneck yet.
    changed = replace(view, tokens=torch.where(torch.arange(13) == place - 1, 9, view.tokens))
    moved = (states(view) - states(changed)).abs().amax(dim=1) > 1e-7
    assert moved.tolist() == [place - 1 <= at <= place for at in range(13)]
    with torch.no_grad():
        deep = (encoder(view).last - encoder(changed).last).abs().amax(dim=1) > 1e-9
    assert deep.tolist() == [at >= place - 1 for at in range(13)]


def test_short_texts_and_shares() -> None:
    batch = toy_batch(2, (2, 3, 9, 2, 20, 5))
    view = insert_bottleneck(batch, rng(1))
    assert view.cu_seqlens.diff().tolist() == [3, 4, 10, 3, 21, 6]
    assert not view.predict[:3].any()
    shares = [insert_bottleneck(shard_of(batch, rank, 2), rng(1)) for rank in range(2)]
    for name in ("tokens", "predict", "targets"):
        assert torch.equal(torch.cat([getattr(share, name) for share in shares]), getattr(view, name))


def test_a_tokenizer_that_closes_nothing() -> None:
    batch = replace(toy_batch(0, RAGGED), vocabulary=replace(TOY_VOCABULARY, sep=-1))
    with pytest.raises(ReknitError, match="no token at the end of a text"):
        insert_bottleneck(batch, rng())
