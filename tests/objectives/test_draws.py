"""Samples of tokens and texts: losses on them have the expectation of the loss on all, in any number of processes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from toy_models import generator, toy_batch, toy_encoder, toy_pair
from twins.losses.bag_of_words import naive_bag_of_words
from twins.losses.cross_entropy import naive_cross_entropy

from reknit.catalogue import find
from reknit.corruptions.masking import mask_tokens
from reknit.data.batch import Batch
from reknit.data.shard import shard_of
from reknit.decoders.bag_of_words import ordinary_content
from reknit.losses.bag_of_words import bag_of_words
from reknit.losses.cross_entropy import cross_entropy
from reknit.objectives.draws import draw_seed, drawn_texts, drawn_tokens
from reknit.objectives.retromae import RetroMAESpec

# Texts of very different lengths, two of them without words; of the first list a draw is often empty.
SMALL, RAGGED = (5, 2, 4), (5, 17, 2, 12, 24, 3, 14, 20, 2)
Draw = Callable[[Batch, int, float], torch.Tensor]


def mean_over_draws(loss: Callable[[int], float], draws: int = 3000) -> tuple[float, float]:
    """Mean and standard error of a loss over seeds."""
    chance = generator(0)
    values = torch.tensor([loss(int(torch.randint(2**62, (), generator=chance))) for _ in range(draws)])
    return float(values.mean()), float(values.std()) / draws**0.5


def spread_states(batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
    """States and a table whose losses differ much from token to token and from text to text."""
    chance = generator(1)
    scale = 3.0 * torch.rand(batch.num_tokens, 1, generator=chance)
    return scale * torch.randn(batch.num_tokens, 6, generator=chance), torch.randn(64, 6, generator=chance)


@pytest.mark.parametrize("lengths", [SMALL, RAGGED])
@pytest.mark.parametrize("share", [0.1, 0.4])
def test_cross_entropy_of_drawn_tokens_is_unbiased(lengths: tuple[int, ...], share: float) -> None:
    batch = toy_batch(0, lengths)
    states, table = spread_states(batch)
    ordinary = (~batch.special).nonzero().squeeze(1)
    expected = float(naive_cross_entropy(states[ordinary], table, None, batch.tokens[ordinary]))

    def loss(seed: int) -> float:
        rows = drawn_tokens(batch, seed, share).nonzero().squeeze(1)
        return float(cross_entropy(states[rows], table, None, batch.tokens[rows])[0])

    mean, error = mean_over_draws(loss)
    assert abs(mean - expected) < 4 * error
    assert error < 0.05 * expected


@pytest.mark.parametrize("lengths", [SMALL, RAGGED])
@pytest.mark.parametrize("share", [0.1, 0.4])
def test_bag_of_words_of_drawn_texts_is_unbiased(lengths: tuple[int, ...], share: float) -> None:
    batch = toy_batch(0, lengths)
    states, table = spread_states(batch)
    rows, offsets, words = ordinary_content(batch, torch.ones_like(batch.special))
    expected = float(naive_bag_of_words(states[rows], table, None, offsets.tolist(), words.tolist()))

    def loss(seed: int) -> float:
        rows, offsets, words = ordinary_content(batch, drawn_texts(batch, seed, share))
        return float(bag_of_words(states[rows], table, None, offsets, words))

    mean, error = mean_over_draws(loss, draws=1000)
    assert abs(mean - expected) < 4 * error
    assert error < 0.05 * expected


@pytest.mark.parametrize("draw", [drawn_tokens, drawn_texts])
def test_about_the_share_is_drawn_and_afresh_each_step(draw: Draw) -> None:
    batch = toy_batch(0, (4,) * 2000)
    first, second = (draw(batch, seed, 0.2)[1::4] for seed in (7, 8))
    assert abs(float(first.float().mean()) - 0.2) < 0.04
    assert abs(float((first & second).float().mean()) - 0.04) < 0.02


def test_tokens_and_texts_are_drawn_independently() -> None:
    batch = toy_batch(0, (3,) * 4000)  # one word each: its token is number 3n + 1, its text number n
    texts, tokens = drawn_texts(batch, 5, 0.5)[1::3], drawn_tokens(batch, 5, 0.5)[1::3]
    assert abs(float((texts & tokens).float().mean()) - 0.25) < 0.03


def test_all_of_them_at_one() -> None:
    batch = toy_batch(0, RAGGED)
    assert torch.equal(drawn_tokens(batch, 3, 1.0), ~batch.special)
    without_words = torch.tensor([length == 2 for length in RAGGED])
    assert torch.equal(drawn_texts(batch, 3, 1.0), ~without_words.repeat_interleave(batch.cu_seqlens.diff()))


def test_texts_are_drawn_whole() -> None:
    batch = toy_batch(0, RAGGED)
    drawn = drawn_texts(batch, 3, 0.5)
    assert drawn.any()
    assert not drawn.all()
    for start, stop in zip(batch.cu_seqlens[:-1].tolist(), batch.cu_seqlens[1:].tolist(), strict=True):
        assert drawn[start:stop].all() or not drawn[start:stop].any()


@pytest.mark.parametrize("draw", [drawn_tokens, drawn_texts])
@pytest.mark.parametrize("share", [0.01, 0.3, 1.0])
@pytest.mark.parametrize("processes", [2, 3])
def test_processes_draw_together_what_one_draws(draw: Draw, share: float, processes: int) -> None:
    batch = toy_batch(0, RAGGED)
    for seed in range(20):
        shares = [draw(shard_of(batch, rank, processes), seed, share) for rank in range(processes)]
        assert torch.equal(torch.cat(shares), draw(batch, seed, share))


@pytest.mark.parametrize("name", ["retromae", "dupmae"])
def test_the_published_shares_are_one_setting_each_and_leave_nothing_out(name: str) -> None:
    recipe = find(name)
    published = replace(recipe, objective=replace(recipe.objective, decoded_share=1.0, bag_of_words_share=1.0))
    assert published.objective == replace(RetroMAESpec(), bag_of_words_weight=recipe.objective.bag_of_words_weight)
    encoder, objective = toy_pair(published, pooling="mean")
    batch = toy_batch(6)
    objective.eval(), encoder.eval()
    with torch.no_grad():
        losses = objective(encoder, batch, generator(5)).losses
        decoded = objective.predictions(encoder, batch, generator(5))["decoder"]
        encoded = encoder(mask_tokens(batch, after_the_seed(generator(5)), ratio=0.3, whole_words=True))
    ordinary = (~batch.special).nonzero().squeeze(1)
    assert torch.equal(decoded.positions, ordinary)
    head = objective.head
    torch.testing.assert_close(
        losses["decoder"], naive_cross_entropy(decoded.states, encoder.table, head.bias, batch.tokens[ordinary])
    )
    if name == "dupmae":
        offsets = [sum(place < int(end) for place in ordinary.tolist()) for end in batch.cu_seqlens]
        words = batch.tokens[ordinary].tolist()
        expected = naive_bag_of_words(head(encoded.last[ordinary]), encoder.table, head.bias, offsets, words)
        torch.testing.assert_close(losses["bag_of_words"], 0.1 * expected)


def after_the_seed(rng: torch.Generator) -> torch.Generator:
    """A step's generator as the corruption gets it."""
    draw_seed(rng)
    return rng


def test_a_share_changes_no_other_loss() -> None:
    """The masked loss of a step is the same at every share, and the decoder's whatever the bag of words' is."""
    encoder = toy_encoder(dropout=0.0)
    found = []
    for decoded, texts in ((1.0, 1.0), (0.3, 1.0), (0.3, 0.4)):
        recipe = find("dupmae")
        spec = replace(recipe.objective, decoded_share=decoded, bag_of_words_share=texts, dropout=0.0)
        torch.manual_seed(0)
        objective = spec.build(encoder, toy_batch(0).vocabulary, "cls")
        losses = objective(encoder, toy_batch(0, RAGGED), generator(4)).losses
        found.append({key: float(value.detach()) for key, value in losses.items()})
    assert found[0]["masked"] == found[1]["masked"] == found[2]["masked"]
    assert found[0]["decoder"] != found[1]["decoder"] == found[2]["decoder"]
    assert found[0]["bag_of_words"] == found[1]["bag_of_words"] != found[2]["bag_of_words"]
