"""C-RTS: two parts of a training, clusters that a resume keeps, and counts that are those of a loop."""

from __future__ import annotations

import math
from typing import Any

import pytest
import recipe_checks as checks
import torch
from toy_models import ORDINARY_IDS, TOY_VOCABULARY, generator, toy_batch, toy_encoder

from reknit.corruptions.cluster_swapping import cluster_shares
from reknit.data.batch import View
from reknit.data.shard import shard_of
from reknit.encoders.base import Encoder
from reknit.errors import ReknitError
from reknit.objectives import clustered_token_detection
from reknit.objectives.clustered_token_detection import ClusteredTokenDetection, ClusteredTokenDetectionSpec
from reknit.objectives.replaced_token_detection import RandomTokenDetectionSpec
from reknit.objectives.token_clusters import TokenClusters

BATCH = toy_batch(3, (30,) * 12)


def pair(**settings: Any) -> tuple[Encoder, ClusteredTokenDetection]:
    encoder = toy_encoder(dropout=0.0)
    settings = {"clusters": 6, "warm_up": 0.0, "ratio": 0.4, **settings}
    return encoder, ClusteredTokenDetectionSpec(**settings).build(encoder, TOY_VOCABULARY, "cls")


def naive_counts(encoder: Encoder, objective: ClusteredTokenDetection, rng: torch.Generator) -> list[list[int]]:
    """The counts after a step on BATCH: a loop over its tokens."""
    counts, numbers = objective.clusters.counts.tolist(), objective.clusters.numbers.tolist()
    view = objective.corrupted(BATCH, rng)
    logits = objective.detection(encoder(view).last).tolist()
    for own, seen, logit in zip(BATCH.tokens.tolist(), view.tokens.tolist(), logits, strict=True):
        if seen != own:
            counts[numbers[own]][numbers[seen]] += 1 if logit <= 0 else -1
    return counts


def test_counts_after_steps_are_those_of_a_loop() -> None:
    encoder, objective = pair()
    with torch.no_grad():  # so that the untrained head overlooks about half
        objective.detection.logit.bias.sub_(objective.detection(encoder(View.clean(BATCH)).last).median())
    assert (objective.clusters.counts == 1).all()
    for step in range(3):
        expected = naive_counts(encoder, objective, generator(step))
        objective(encoder, BATCH, generator(step))
        assert objective.clusters.counts.tolist() == expected
    assert int(objective.clusters.counts.min()) < 0
    assert int(objective.clusters.counts.max()) > 1


def test_nothing_is_counted_outside_of_training() -> None:
    encoder, objective = pair()
    objective.eval()(encoder, BATCH, generator(0))
    assert (objective.clusters.counts == 1).all()


def test_what_is_overlooked_comes_more_often() -> None:
    """A detector that never finds tokens of cluster 2, and always those of the others."""
    _, objective = pair(beta=4.0)
    numbers = objective.clusters.numbers

    def share() -> float:
        view = objective.corrupted(BATCH, generator(99))
        return float((numbers[view.tokens[view.predict]] == 2).float().mean())

    before = share()
    for step in range(20):
        own, seen = BATCH.tokens, objective.corrupted(BATCH, generator(step)).tokens
        changed = own != seen
        objective.clusters.count(own[changed], seen[changed], numbers[seen[changed]] == 2)
    # exp(4) for it, and for the others 1 where nothing was rarer.
    assert share() > 0.6 > 0.3 > before


def test_processes_that_share_a_step_count_the_whole_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two processes, one after the other: what each would send is kept, then given to both."""
    encoder, alone = pair()
    alone(encoder, BATCH, generator(5))
    assert (alone.clusters.counts != 1).any()
    sent: list[torch.Tensor] = []

    def send(rows: torch.Tensor, first: int, total: int) -> torch.Tensor:
        whole = rows.new_zeros((total, *rows.shape[1:]))
        whole[first : first + len(rows)] = rows
        sent.append(whole)
        return sum(sent) if len(sent) < 3 else sent[0] + sent[1]

    monkeypatch.setattr(clustered_token_detection, "gathered_rows", send)
    for rank in (0, 1, 0, 1):
        _, objective = pair()
        objective(encoder, shard_of(BATCH, rank, 2), generator(5))
        if len(sent) > 2:
            assert torch.equal(objective.clusters.counts, alone.clusters.counts)


def test_clusters_are_made_once_at_the_end_of_the_warm_up() -> None:
    encoder, objective = pair(warm_up=0.3)
    plain = RandomTokenDetectionSpec(ratio=0.4).build(encoder, TOY_VOCABULARY, "cls")
    plain.load_state_dict({name: value for name, value in objective.state_dict().items() if "detection" in name})
    step = objective(encoder, BATCH, generator(0))
    assert torch.equal(step.losses["detection"], plain(encoder, BATCH, generator(0)).losses["detection"])
    objective.after_step(encoder, 0.29)
    assert not objective.clusters.learnt
    with torch.no_grad():  # as if it had been trained: clusters of ids that follow each other
        encoder.table[5:] = torch.arange(59)[:, None] // 12 * 10.0 + torch.randn(59, 32, generator=generator(1))
    objective.after_step(encoder, 0.3)
    numbers = objective.clusters.numbers.clone()
    assert (numbers[:5] == -1).all()
    for first in range(5, 60, 12):
        assert len(numbers[first : first + 12].unique()) <= 2  # six clusters for five groups
    with torch.no_grad():
        encoder.table.copy_(torch.randn(encoder.table.shape, generator=generator(2)))
    objective.after_step(encoder, 0.6)
    assert torch.equal(objective.clusters.numbers, numbers)


def test_without_a_warm_up_a_trained_encoders_embeddings_are_clustered() -> None:
    encoder, objective = pair()
    assert objective.clusters.learnt
    again = TokenClusters(6, TOY_VOCABULARY)
    again.learn(encoder.table)
    assert torch.equal(again.numbers, objective.clusters.numbers)
    assert set(objective.clusters.numbers[5:].tolist()) == set(range(6))


def test_there_are_no_more_clusters_than_tokens() -> None:
    _, objective = pair(clusters=1000)
    assert objective.clusters.counts.shape == (ORDINARY_IDS, ORDINARY_IDS)
    view = objective.corrupted(BATCH, generator(0))
    assert torch.equal(view.predict, view.tokens != BATCH.tokens)


@pytest.mark.parametrize("stopped_after", [1, 3])
def test_a_resumed_run_goes_on_bit_for_bit(stopped_after: int) -> None:
    """Stopped in the warm-up, or behind it."""
    encoder, through = pair(warm_up=0.4)
    _, resumed = pair(warm_up=0.4)
    for step in range(5):
        if step == stopped_after:
            resumed.load_state_dict(through.state_dict())
        for objective in (through, resumed) if step >= stopped_after else (through,):
            objective(encoder, toy_batch(step), generator(step))
            objective.after_step(encoder, 0.2 * (step + 1))
    assert through.clusters.learnt
    assert (through.clusters.counts != 1).any()
    for name, kept in through.named_buffers():
        assert torch.equal(dict(resumed.named_buffers())[name], kept), name
    losses = [each(encoder, BATCH, generator(9)).losses["detection"] for each in (through, resumed)]
    assert torch.equal(*losses)


def floor(objective: ClusteredTokenDetection) -> float:
    """Of random text the lowest loss: all that tells a replacement is how often each token is one."""
    numbers = objective.clusters.numbers[5:].tolist()
    shares = cluster_shares(objective.clusters.counts, objective.spec.beta).tolist()
    sizes = [numbers.count(cluster) for cluster in range(len(shares))]
    replaced = [0.0] * ORDINARY_IDS
    for own, cluster in enumerate(numbers):
        left = [size - (number == cluster) for number, size in enumerate(sizes)]
        total = sum(share for share, size in zip(shares[cluster], left, strict=True) if size)
        for other, number in enumerate(numbers):
            if other != own:
                replaced[other] += shares[cluster][number] / total / left[number] / ORDINARY_IDS
    assert sum(replaced) == pytest.approx(1.0)
    entropy = 0.0
    for share in replaced:
        yes, no = objective.spec.ratio * share, (1 - objective.spec.ratio) / ORDINARY_IDS
        entropy -= yes * math.log(yes / (yes + no)) + no * math.log(no / (yes + no))
    return entropy


def test_entropy_floor() -> None:
    encoder, objective = pair(ratio=0.15)
    objective.clusters.count = lambda *_, **__: None  # the floor moves with the counts
    lowest = floor(objective)
    assert lowest < 0.42  # below that of RTS, where a token tells nothing
    fresh = lambda step: toy_batch(step + 100, (22,) * 12)  # noqa: E731
    checks.check_entropy_floor(objective, encoder, fresh, {"detection": lowest})


@pytest.mark.parametrize("bug", ["a token may replace itself", "the counts' wrong side"])
def test_planted_bugs(bug: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Mistakes that the tests above are there for."""
    right = TokenClusters.count
    if bug == "the counts' wrong side":
        monkeypatch.setattr(
            TokenClusters, "count", lambda self, own, other, overlooked: right(self, other, own, overlooked)
        )
        planted = test_counts_after_steps_are_those_of_a_loop
    else:
        careless = clustered_token_detection.swap_by_clusters

        def swap(batch: Any, *arguments: Any, **settings: Any) -> Any:
            view = careless(batch, *arguments, **settings)
            view.tokens[view.predict.nonzero()[0]] = batch.tokens[view.predict.nonzero()[0]]
            return view

        monkeypatch.setattr(clustered_token_detection, "swap_by_clusters", swap)
        planted = test_there_are_no_more_clusters_than_tokens
    with pytest.raises(AssertionError):
        planted()


@pytest.mark.parametrize(("name", "value"), [("clusters", 1), ("beta", -1.0), ("warm_up", 1.1), ("warm_up", -0.1)])
def test_settings_out_of_range(name: str, value: float) -> None:
    with pytest.raises(ReknitError, match=f"{name} is {value}"):
        ClusteredTokenDetectionSpec(**{name: value})
