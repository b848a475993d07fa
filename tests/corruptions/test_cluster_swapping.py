"""C-RTS's replacements: other ordinary tokens, of clusters by their shares, as a loop over tokens draws them."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from toy_models import TOY_VOCABULARY, generator, toy_batch

from reknit.corruptions.cluster_swapping import cluster_shares, swap_by_clusters
from reknit.corruptions.masking import mask_tokens
from reknit.data.shard import shard_of
from reknit.errors import ReknitError

ORDINARY = range(5, 64)
# One cluster of a single token, the others of very different sizes.
SIZES = (1, 2, 6, 20, 30)
CLUSTERS = torch.tensor([-1] * 5 + [number for number, size in enumerate(SIZES) for _ in range(size)])
COUNTS = torch.tensor(
    [[1, 1, 1, 1, 1], [9, 1, 1, 1, 5], [-4, 0, 4, 8, 12], [1, 1, 1, 1, 2], [-100, 100, 0, 50, -50]], dtype=torch.long
)


def naive_shares(row: list[int], beta: float) -> list[float]:
    spread = max(row) - min(row) or 1
    weights = [math.exp(beta * (count - min(row)) / spread) for count in row]
    return [weight / sum(weights) for weight in weights]


def naive_other(token: int, draws: list[float], clusters: list[int], shares: list[float]) -> int:
    """The replacement of one token: a cluster that has another one, then one of its tokens but this."""
    offered = [
        (number, [other for other in ORDINARY if clusters[other] == number and other != token])
        for number in range(len(shares))
    ]
    total = sum(shares[number] for number, others in offered if others)
    below = 0.0
    for number, others in offered:
        if not others:
            continue
        below += shares[number]
        if draws[0] * total < below:
            return others[int(draws[1] * len(others))]
    raise AssertionError("no cluster has another token")


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000), st.sampled_from([0.15, 0.5, 1.0]), st.floats(0.0, 8.0), st.integers(2, 59))
def test_against_a_loop(seed: int, ratio: float, beta: float, clusters: int) -> None:
    """With any clusters, an empty one and ones of a single token among them."""
    rng = generator(seed)
    numbers = torch.randint(0, clusters, (64,), generator=rng)
    numbers[:5] = -1
    counts = torch.randint(-30, 30, (clusters, clusters), generator=rng)
    shares = cluster_shares(counts, beta)
    rows = [naive_shares(row, beta) for row in counts.tolist()]
    torch.testing.assert_close(shares, torch.tensor(rows, dtype=torch.float64))
    batch = toy_batch(seed, (30, 5, 2, 17))
    view = swap_by_clusters(batch, generator(seed), numbers, shares, ratio=ratio)
    draws = torch.rand(batch.num_tokens, 3, generator=generator(seed)).tolist()
    for place, (own, seen) in enumerate(zip(batch.tokens.tolist(), view.tokens.tolist(), strict=True)):
        if not view.predict[place]:
            assert seen == own
            continue
        assert seen == naive_other(own, draws[place][1:], numbers.tolist(), shares[numbers[own]].tolist())
        assert seen != own
        assert seen in ORDINARY
        assert own in ORDINARY


def test_replaced_tokens_are_as_many_as_masked_ones_and_the_view_says_which() -> None:
    batch = toy_batch(0, (40, 3, 60, 2, 22))
    view = swap_by_clusters(batch, generator(1), CLUSTERS, cluster_shares(COUNTS, 2.0), ratio=0.3)
    masked = mask_tokens(batch, generator(1), ratio=0.3)
    for start, stop in zip(batch.cu_seqlens[:-1].tolist(), batch.cu_seqlens[1:].tolist(), strict=True):
        assert int(view.predict[start:stop].sum()) == int(masked.predict[start:stop].sum())
    assert torch.equal(view.predict, view.tokens != batch.tokens)
    assert torch.equal(view.masked, view.predict)
    assert torch.equal(view.targets, batch.tokens)


@pytest.mark.parametrize("beta", [0.0, 2.0])
def test_clusters_come_as_their_shares_say(beta: float) -> None:
    batch = toy_batch(3, (400,) * 400)
    shares = cluster_shares(COUNTS, beta)
    view = swap_by_clusters(batch, generator(0), CLUSTERS, shares, ratio=0.5)
    own, seen = CLUSTERS[batch.tokens[view.predict]], CLUSTERS[view.tokens[view.predict]]
    for number, size in enumerate(SIZES):
        expected = torch.tensor(naive_shares(COUNTS[number].tolist(), beta))
        if size == 1:  # its only token cannot be its own replacement
            expected[number] = 0.0
            expected /= expected.sum()
        found = torch.bincount(seen[own == number], minlength=len(SIZES)) / int((own == number).sum())
        # Four standard errors of a share.
        within = 4 * (expected * (1 - expected) / int((own == number).sum())).sqrt()
        assert ((found - expected).abs() <= within).all(), (number, found, expected)


def test_all_tokens_of_a_cluster_are_equally_likely() -> None:
    batch = toy_batch(3, (400,) * 400)
    view = swap_by_clusters(batch, generator(0), CLUSTERS, cluster_shares(COUNTS, 0.0), ratio=0.5)
    own, seen = batch.tokens[view.predict], view.tokens[view.predict]
    largest = [token for token in ORDINARY if CLUSTERS[token] == 4]
    for token in (5, largest[0], largest[13], largest[-1]):  # one of elsewhere, and three places within
        others = [other for other in largest if other != token]
        found = torch.bincount(seen[(own == token) & (CLUSTERS[seen] == 4)], minlength=64)
        assert int(found.sum()) == int(found[others].sum())
        expected = float(found.sum()) / len(others)
        assert float(((found[others] - expected) ** 2 / expected).sum()) < len(others) + 5 * math.sqrt(2 * len(others))


def test_equal_counts_make_all_clusters_equally_likely() -> None:
    assert torch.equal(cluster_shares(torch.full((4, 4), -7), 2.0), torch.full((4, 4), 0.25, dtype=torch.float64))


def test_shares_of_a_batch_get_their_part_of_the_whole() -> None:
    batch, shares = toy_batch(5), cluster_shares(COUNTS, 2.0)
    whole = swap_by_clusters(batch, generator(2), CLUSTERS, shares)
    parts = [swap_by_clusters(shard_of(batch, rank, 3), generator(2), CLUSTERS, shares) for rank in range(3)]
    assert torch.equal(torch.cat([part.tokens for part in parts]), whole.tokens)
    assert torch.equal(torch.cat([part.predict for part in parts]), whole.predict)


def test_no_mask_token_is_needed_and_a_ratio_out_of_range_is_refused() -> None:
    batch = toy_batch(0)
    batch = replace(batch, vocabulary=replace(TOY_VOCABULARY, mask=-1))
    shares = cluster_shares(COUNTS, 2.0)
    assert swap_by_clusters(batch, generator(0), CLUSTERS, shares).predict.any()
    with pytest.raises(ReknitError, match="ratio is 0"):
        swap_by_clusters(batch, generator(0), CLUSTERS, shares, ratio=0.0)
