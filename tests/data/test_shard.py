"""A batch divided among processes: nothing is lost or parted, and chance does not see the division."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from toy_models import TOY_VOCABULARY, toy_batch, toy_pairs, with_spans

from reknit.corruptions.masking import mask_tokens, mask_tokens_twice
from reknit.data.attention_rules import AttentionContext, Both, Window, bidirectional, causal, shifted
from reknit.data.batch import Batch, View
from reknit.data.shard import for_whole_batch, shard_of

LENGTHS = (5, 17, 9, 12, 24, 3, 14, 20)


@pytest.mark.parametrize("size", [2, 3, 8])
def test_shares_are_the_whole_in_order_and_about_equal(size: int) -> None:
    batch = toy_batch(0, LENGTHS)
    shards = [shard_of(batch, rank, size) for rank in range(size)]
    assert torch.equal(torch.cat([shard.tokens for shard in shards]), batch.tokens)
    assert torch.equal(torch.cat([shard.cu_seqlens.diff() for shard in shards]), batch.cu_seqlens.diff())
    for shard in shards:
        assert shard.num_sequences >= 1
        assert shard.whole is batch
        assert torch.equal(batch.tokens[shard.first_token :][: shard.num_tokens], shard.tokens)
        if size < 8:
            assert abs(shard.num_tokens - batch.num_tokens / size) <= max(LENGTHS)


def test_a_long_sequence_leaves_no_process_without_one() -> None:
    batch = toy_batch(0, (3, 40, 4))
    assert [shard_of(batch, rank, 3).num_tokens for rank in range(3)] == [3, 40, 4]


def test_pairs_and_their_groups_stay_together() -> None:
    batch = replace(toy_pairs(0, pairs=5), groups=torch.tensor([7, 7, 8, 9, 9]))
    shards = [shard_of(batch, rank, 2) for rank in range(2)]
    assert all(shard.num_sequences == 2 * shard.groups.numel() for shard in shards)
    assert torch.equal(torch.cat([shard.groups for shard in shards]), batch.groups)


def test_tags_are_cut_with_their_tokens_and_keep_their_numbers() -> None:
    batch = with_spans(toy_batch(0, LENGTHS), 1)
    shards = [shard_of(batch, rank, 3) for rank in range(3)]
    assert torch.equal(torch.cat([shard.tagged for shard in shards]), batch.tagged)
    assert shards[1].to("cpu").tagged is not None
    assert shards[1].to("meta").tagged.device.type == shards[1].to("meta").whole.tagged.device.type == "meta"
    assert shard_of(toy_batch(0, LENGTHS), 1, 3).tagged is None


def test_packed_spans_are_numbered_through() -> None:
    numbers = [torch.tensor([-1, 3, 3, -1]), torch.tensor([0, 0, 1]), torch.tensor([1, -1, 7]), torch.tensor([-1])]
    tokens = [torch.arange(len(each)) for each in numbers]
    sequences = [(each, each < 0, each < 0, tags) for each, tags in zip(tokens, numbers, strict=True)]
    packed = Batch.pack(sequences, TOY_VOCABULARY)
    # The second text's last span and the third's first have the same number and are two.
    assert packed.tagged.tolist() == [-1, 0, 0, -1, 1, 1, 2, 3, -1, 4, -1]
    assert Batch.pack([three[:3] for three in sequences], TOY_VOCABULARY).tagged is None
    with pytest.raises(ValueError, match="zip"):
        Batch.pack([sequences[0], sequences[1][:3]], TOY_VOCABULARY)


def test_too_small_a_batch_is_not_divided() -> None:
    batch = toy_pairs(0, pairs=2)
    assert shard_of(batch, 1, 3) is batch
    assert batch.whole is batch


@pytest.mark.parametrize("whole_words", [False, True])
def test_a_token_has_the_same_luck_in_a_share(whole_words: bool) -> None:
    batch = toy_batch(0, LENGTHS)
    views = [
        mask_tokens(one, torch.Generator().manual_seed(3), whole_words=whole_words)
        for one in (batch, *(shard_of(batch, rank, 3) for rank in range(3)))
    ]
    for name in ("tokens", "targets", "predict", "masked"):
        assert torch.equal(torch.cat([getattr(view, name) for view in views[1:]]), getattr(views[0], name))


def test_two_views_are_cut_alike() -> None:
    batch = toy_batch(0, LENGTHS)
    whole, *shards = [
        mask_tokens_twice(one, torch.Generator().manual_seed(3), ratios=(0.2, 0.4))
        for one in (batch, *(shard_of(batch, rank, 3) for rank in range(3)))
    ]
    for number in range(2):
        for name in ("tokens", "targets", "predict", "masked"):
            joined = torch.cat([getattr(views[number], name) for views in shards])
            assert torch.equal(joined, getattr(whole[number], name))


def test_a_view_that_drops_tokens_is_cut_where_its_sequences_end() -> None:
    batch = toy_batch(0, (6, 4, 8, 2))

    @for_whole_batch
    def every_other(whole) -> View:
        return replace(View.clean(whole), kept=torch.arange(0, whole.num_tokens, 2))

    kept = [every_other(shard_of(batch, rank, 2)).kept.tolist() for rank in range(2)]
    assert kept == [[0, 2, 4, 6, 8], [0, 2, 4, 6, 8]]


def test_a_rule_that_knows_tokens_by_number_is_shifted() -> None:
    def odd_keys(context: AttentionContext) -> torch.Tensor:
        return context.key_index % 2 == 1

    nothing = torch.zeros(1, 3, 1, dtype=torch.bool)
    place = torch.arange(3)
    context = AttentionContext(
        place.view(1, 3, 1), place.view(1, 1, 3), place.view(1, 3, 1), place.view(1, 1, 3), nothing, nothing, 0
    )
    assert shifted(odd_keys, 5)(context).flatten().tolist() == [True, False, True]
    assert shifted(Both(causal, odd_keys), 5)(context)[0].tolist() == [
        [True, False, False],
        [True, False, False],
        [True, False, True],
    ]
    window = Window(2)
    assert (shifted(bidirectional, 5), shifted(window, 5)) == (bidirectional, window)
