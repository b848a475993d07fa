"""The training order: complete, within budget, shuffled, and a pure function of the step."""

from itertools import groupby

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reknit.data.order import PackedOrder, TogetherOrder
from reknit.errors import ReknitError


@settings(max_examples=100, deadline=None)
@given(
    lengths=st.lists(st.integers(0, 40), min_size=1, max_size=80),
    budget=st.integers(1, 100),
    seed=st.integers(0, 2**31),
    epoch=st.integers(0, 3),
)
def test_each_epoch_has_every_sequence_once_within_the_budget(lengths, budget, seed, epoch):
    batches = PackedOrder(np.array(lengths), budget, seed).epoch(epoch)
    assert sorted(np.concatenate(batches).tolist()) == list(range(len(lengths)))
    for batch in batches:
        assert len(batch) == 1 or sum(lengths[number] for number in batch) <= budget


@settings(max_examples=30, deadline=None)
@given(lengths=st.lists(st.integers(1, 40), min_size=1, max_size=60), seed=st.integers(0, 99))
def test_a_fresh_order_gives_any_step_as_the_whole_run_did(lengths, seed):
    run = PackedOrder(np.array(lengths), 50, seed)
    walked = [batch for epoch in range(3) for batch in run.epoch(epoch)]
    for step in (len(walked) - 1, 0, len(walked) // 2):
        resumed = PackedOrder(np.array(lengths), 50, seed)
        assert resumed.batch_indices(step).tolist() == walked[step].tolist()


@settings(max_examples=100, deadline=None)
@given(
    lengths=st.lists(st.integers(0, 40), min_size=1, max_size=80),
    budget=st.integers(1, 60),
    seed=st.integers(0, 99),
    pool=st.integers(1, 30),
)
def test_batches_are_cut_from_pools_sorted_up_and_down(lengths, budget, seed, pool):
    order = PackedOrder(np.array(lengths), budget, seed)
    order._pool = pool
    rng = np.random.default_rng((seed, 0))
    shuffled = rng.permutation(len(lengths)).tolist()
    batches, tokens = [[]], 0
    for place, first in enumerate(range(0, len(lengths), pool)):
        sign = -1 if place % 2 else 1
        for number in sorted(shuffled[first : first + pool], key=lambda number: sign * lengths[number]):
            if batches[-1] and tokens + lengths[number] > budget:
                batches.append([])
                tokens = 0
            batches[-1].append(number)
            tokens += lengths[number]
    expected = [batches[number] for number in rng.permutation(len(batches))]
    assert [batch.tolist() for batch in order.epoch(0)] == expected


def test_batches_are_full_of_alike_lengths_and_differ_between_epochs_and_seeds():
    lengths = np.random.default_rng(0).integers(5, 128, size=5000)
    order = PackedOrder(lengths, 2048, seed=1)
    batches = order.epoch(0)
    fill = lengths.sum() / (len(batches) * 2048)
    assert fill > 0.96
    spread = np.mean([np.ptp(lengths[batch]) for batch in batches])
    assert spread < 12, "a shuffle without sorting spreads over about 110"
    means = np.array([lengths[batch].mean() for batch in batches])
    assert abs(np.corrcoef(np.arange(len(means)), means)[0, 1]) < 0.3, "the order of batches does not tell their length"
    met = {frozenset(batch.tolist()) for batch in batches}
    assert not met & {frozenset(batch.tolist()) for batch in order.epoch(1)}
    assert not met & {frozenset(batch.tolist()) for batch in PackedOrder(lengths, 2048, seed=2).epoch(0)}


def test_bad_settings():
    with pytest.raises(ReknitError, match="nothing to train on"):
        PackedOrder(np.array([]), 10, 0)
    with pytest.raises(ReknitError, match="tokens_per_batch"):
        PackedOrder(np.array([1]), 0, 0)
    with pytest.raises(ValueError, match="negative"):
        PackedOrder(np.array([1]), 1, 0).batch_indices(-1)


@settings(max_examples=100, deadline=None)
@given(
    groups=st.lists(st.integers(0, 12), min_size=1, max_size=60),
    together=st.integers(2, 5),
    seed=st.integers(0, 99),
    epoch=st.integers(0, 3),
)
def test_members_of_a_group_come_in_runs_that_are_as_long_as_may_be(groups, together, seed, epoch):
    order = TogetherOrder(np.array(groups), together, seed)(epoch).tolist()
    assert sorted(order) == list(range(len(groups)))
    runs = [len(list(run)) for _, run in groupby(groups[number] for number in order)]
    # Two runs of a group may come to stand side by side.
    fewest = [-(-groups.count(group) // together) for group in set(groups)]
    assert len(runs) <= sum(fewest)
    starts = [place for place in range(1, len(order)) if groups[order[place]] != groups[order[place - 1]]]
    assert all(length <= groups.count(groups[order[place]]) for place, length in zip([0, *starts], runs, strict=True))


def test_runs_meet_anew_each_epoch():
    groups = np.repeat(np.arange(20), 6)
    epochs = [TogetherOrder(groups, 3, seed=1)(epoch).reshape(-1, 3) for epoch in (0, 1)]
    runs = [{frozenset(run) for run in epoch.tolist()} for epoch in epochs]
    assert all(len(set(groups[list(run)])) == 1 for run in runs[0] | runs[1])
    assert len(runs[0] & runs[1]) < 20, "a group parts into other runs, but for one time in ten"
    assert groups[epochs[0][:, 0]].tolist() != groups[epochs[1][:, 0]].tolist()
