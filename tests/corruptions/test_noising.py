"""What a denoising encoder sees: the right number of tokens hidden, the rest in order, sentences whole."""

from __future__ import annotations

import math
from collections import Counter
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from toy_models import TOY_VOCABULARY, toy_batch

from reknit.corruptions.noising import noised
from reknit.data.batch import Vocabulary
from reknit.data.shard import shard_of
from reknit.errors import ReknitError

MASK = TOY_VOCABULARY.mask
lengths = st.lists(st.integers(2, 30), min_size=1, max_size=6).map(tuple)


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def parts(tokens: torch.Tensor, offsets: torch.Tensor) -> list[list[int]]:
    return [tokens[first:last].tolist() for first, last in pairwise(offsets.tolist())]


def is_subsequence(short: list[int], long: list[int]) -> bool:
    rest = iter(long)
    return all(token in rest for token in short)


@settings(max_examples=60, deadline=None)
@given(lengths, st.integers(0, 1000), st.floats(0.05, 0.95), st.sampled_from(["infilling", "masking", "deletion"]))
def test_the_share_asked_for_is_hidden_and_the_rest_stays_in_order(
    lengths: tuple[int, ...], seed: int, ratio: float, noise: str
) -> None:
    batch = toy_batch(seed, lengths)
    view, unseen = noised(batch, rng(seed), noise=noise, ratio=ratio, permute_sentences=False)  # type: ignore[arg-type]
    hidden = parts(unseen, batch.cu_seqlens)
    for seen, clean, gone in zip(
        parts(view.tokens, view.cu_seqlens), parts(batch.tokens, batch.cu_seqlens), hidden, strict=True
    ):
        inner = len(clean) - 2
        assert sum(gone) == math.ceil(ratio * inner)
        assert (seen[0], seen[-1]) == (clean[0], clean[-1])
        left = [token for token in seen if token != MASK]
        assert left == [token for token, is_gone in zip(clean, gone, strict=True) if not is_gone]
        assert is_subsequence(left, clean)
        masks = len(seen) - len(left)
        assert masks == {"masking": sum(gone), "deletion": 0}.get(noise, masks)
    assert torch.equal(view.masked, view.tokens == MASK)


def test_spans_have_the_mean_asked_for_and_some_are_empty() -> None:
    batch = toy_batch(1, (202,) * 50)
    view, unseen = noised(batch, rng(), ratio=0.3, mean_span=3.0, permute_sentences=False)
    assert int(unseen.sum()) / int(view.masked.sum()) == pytest.approx(3.0, abs=0.2)
    # A mask between two tokens that stand side by side in the clean text hides nothing.
    empty = 0
    for seen, clean in zip(parts(view.tokens, view.cu_seqlens), parts(batch.tokens, batch.cu_seqlens), strict=True):
        neighbours = set(pairwise(clean))
        empty += sum(b == MASK and (a, c) in neighbours for a, b, c in zip(seen, seen[1:], seen[2:], strict=False))
    assert empty > 0.02 * int(view.masked.sum())


@settings(max_examples=30, deadline=None)
@given(lengths, st.integers(0, 1000))
def test_sentences_change_places_and_stay_whole(lengths: tuple[int, ...], seed: int) -> None:
    batch = toy_batch(seed, lengths)
    view, unseen = noised(batch, rng(seed), noise="none")
    assert not unseen.any()
    assert torch.equal(view.cu_seqlens, batch.cu_seqlens)

    def sentences(tokens: list[int]) -> Counter[tuple[int, ...]]:
        found, current = [], []
        for token in tokens[1:-1]:
            current.append(token)
            if token in TOY_VOCABULARY.sentence_ends:
                found.append(tuple(current))
                current = []
        return Counter([*found, tuple(current)] if current else found)

    for seen, clean in zip(*(parts(each.tokens, each.cu_seqlens) for each in (view, batch)), strict=True):
        last = tuple(clean[1:-1])[-1:]
        if last and last[0] in TOY_VOCABULARY.sentence_ends:  # else the open last one may join the one behind it
            assert sentences(seen) == sentences(clean)
        assert Counter(seen) == Counter(clean)


def test_a_text_of_many_sentences_is_shuffled() -> None:
    batch = toy_batch(0, (40,) * 8)
    batch.tokens[4::5] = TOY_VOCABULARY.sentence_ends[0]
    view, _ = noised(batch, rng(), noise="none")
    assert not torch.equal(view.tokens, batch.tokens)


def test_processes_that_share_a_step_make_the_same_noise() -> None:
    batch = toy_batch(3)
    whole, unseen = noised(batch, rng(5))
    shares = [noised(shard_of(batch, rank, 2), rng(5)) for rank in range(2)]
    assert torch.equal(torch.cat([view.tokens for view, _ in shares]), whole.tokens)
    assert torch.equal(torch.cat([gone for _, gone in shares]), unseen)
    together = parts(shares[0][0].tokens, shares[0][0].cu_seqlens) + parts(shares[1][0].tokens, shares[1][0].cu_seqlens)
    assert together == parts(whole.tokens, whole.cu_seqlens)


@pytest.mark.parametrize("wrong", [{"ratio": 0.0}, {"ratio": 1.0}, {"mean_span": 0.0}])
def test_bad_settings(wrong: dict[str, float]) -> None:
    with pytest.raises(ReknitError, match="ratio"):
        noised(toy_batch(0), rng(), **wrong)  # type: ignore[arg-type]


def test_a_tokenizer_without_a_mask_token_can_delete() -> None:
    from dataclasses import replace

    bare = Vocabulary(size=64, pad=0, mask=-1, cls=2, sep=3, special=(0, 1, 2, 3))
    batch = replace(toy_batch(0), vocabulary=bare)
    with pytest.raises(ReknitError, match="no mask token"):
        noised(batch, rng())
    assert noised(batch, rng(), noise="deletion")[1].any()
