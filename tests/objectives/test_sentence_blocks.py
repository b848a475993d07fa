"""SMITH's blocks: against loops over texts, chance on noise, which blocks are hidden, likelihoods."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from unittest import mock

import pytest
import recipe_checks as checks
import torch
from toy_models import ORDINARY_IDS, TOY_VOCABULARY, amplify, chance, generator, toy_batch, toy_encoder

from reknit.corruptions.blocks import cut_into_blocks
from reknit.data.batch import Batch, View, segments_of
from reknit.data.shard import shard_of_examples
from reknit.decoders.document_transformer import DocumentTransformer
from reknit.encoders.pooling import pool
from reknit.errors import ReknitError
from reknit.objectives.draws import draw_seed
from reknit.objectives.sentence_blocks import SentenceBlocks, SentenceBlocksSpec, hidden_blocks

LENGTHS = (17, 3, 24, 12, 2, 20)


def objective(encoder: torch.nn.Module, pooling: str = "mean", **settings: object) -> SentenceBlocks:
    return SentenceBlocksSpec(**{"block_tokens": 5, **settings}).build(encoder, TOY_VOCABULARY, pooling)


@pytest.mark.parametrize("pooling", ["cls", "mean"])
def test_blocks_equal_those_read_one_text_at_a_time(pooling: str) -> None:
    encoder = toy_encoder()
    stage = objective(encoder, pooling)
    amplify(encoder, stage)
    encoder.eval(), stage.eval()
    batch = toy_batch(2, LENGTHS)
    with torch.no_grad():
        found = stage.matches(encoder, batch, generator(0))["blocks"]
        rng = generator(0)
        seed = draw_seed(rng)
        blocks = cut_into_blocks(batch, 5)
        view = stage.spec.masked.corrupt(blocks.batch, rng)
        chosen = hidden_blocks(blocks.cu_texts, seed, stage.spec.masked_blocks).tolist()
        row, document = 0, stage.document
        for first, last in pairwise(blocks.cu_texts.tolist()):
            vectors = []
            for number in range(first, last):
                tokens = view.tokens[slice(*blocks.batch.cu_seqlens[number : number + 2].tolist())]
                nothing = torch.zeros_like(tokens, dtype=torch.bool)
                alone = View(tokens, torch.tensor([0, len(tokens)]), tokens, nothing, nothing)
                vector = pool(encoder(alone), pooling)[0]
                vectors.append(vector / vector.norm())
            shown = [
                document.hidden_vector if chosen[first + place] else vector for place, vector in enumerate(vectors)
            ]
            placed = torch.stack([one + document.positions.weight[place] for place, one in enumerate(shown)])
            states = document.stack(document.embedding_norm(placed), torch.tensor([0, last - first]))
            for place, vector in enumerate(vectors):
                if not chosen[first + place]:
                    continue
                guess = document.norm(torch.nn.functional.gelu(document.dense(states[place])))
                torch.testing.assert_close(found.states[row], guess, atol=1e-5, rtol=1e-4)
                torch.testing.assert_close(found.targets[row], vector, atol=1e-5, rtol=1e-4)
                assert int(found.positions[row]) == int(blocks.begins[first + place])
                row += 1
    assert row == len(found.states) > 3


def equal_blocks(step: int, texts: int = 8, blocks: int = 4) -> Batch:
    """Texts of blocks that are alike in length and without sentence ends, so that nothing tells where one belongs."""
    batch = toy_batch(step, (2 + 5 * blocks,) * texts)
    return replace(batch, tokens=torch.where(batch.tokens >= 61, batch.tokens - 30, batch.tokens))


def floors() -> dict[str, float]:
    return {"blocks": chance(8), "masked": 0.9 * chance(ORDINARY_IDS)}


def test_on_noise_no_block_is_found() -> None:
    encoder = toy_encoder()
    checks.check_entropy_floor(objective(encoder), encoder, equal_blocks, floors(), learning_rate=3e-3, steps=60)


def texts_on_topics(step: int, texts: int = 16) -> Batch:
    """Each text has four words of its own, or shares them with one or two other texts."""
    batch = equal_blocks(step, texts)
    topics = (torch.randperm(56, generator=generator(step))[:texts] % 14)[segments_of(batch.cu_seqlens)]
    return replace(batch, tokens=torch.where(batch.special, batch.tokens, 5 + 4 * topics + batch.tokens % 4))


def test_on_fresh_texts_blocks_are_found_by_their_topic() -> None:
    encoder = toy_encoder(dropout=0.0)
    stage = objective(encoder, dropout=0.0)
    # Freshly drawn weights of so small a width carry next to nothing from block to block.
    amplify(encoder, stage)
    optimiser = torch.optim.Adam([*encoder.parameters(), *stage.parameters()], lr=2e-3, fused=True)
    losses = []
    for step in range(130):
        output = stage(encoder, texts_on_topics(step), generator(step))
        optimiser.zero_grad()
        output.total.backward()
        optimiser.step()
        losses.append(float(output.losses["blocks"].detach()))
    assert sum(losses[-10:]) / 10 < chance(16) - 0.5


def test_blocks_that_are_not_hidden_are_found_on_noise() -> None:
    """Planted: the document transformer sees what it has to find."""
    encoder = toy_encoder()
    with (
        mock.patch.object(DocumentTransformer, "_seen", lambda self, vectors, hidden: vectors),
        pytest.raises(AssertionError, match="loss 'blocks' reached"),
    ):
        checks.check_entropy_floor(objective(encoder), encoder, equal_blocks, floors(), learning_rate=3e-3, steps=60)


@pytest.mark.parametrize("share", [0.1, 0.2, 0.5, 0.95])
def test_a_share_of_each_text_is_hidden_and_never_all(share: float) -> None:
    counts = torch.tensor([1, 2, 3, 10, 1, 20])
    offsets = torch.cat((counts.new_zeros(1), counts.cumsum(0)))
    for seed in range(20):
        chosen = hidden_blocks(offsets, seed, share)
        for count, (first, last) in zip(counts.tolist(), pairwise(offsets.tolist()), strict=True):
            expected = 0 if count == 1 else min(max(1, round(share * count)), count - 1)
            assert int(chosen[first:last].sum()) == expected
    often = torch.stack([hidden_blocks(offsets, seed, 0.5) for seed in range(400)]).float().mean(dim=0)
    assert ((often[17:] - 0.5).abs() < 0.12).all(), "some places are hidden more often than others"


def test_without_weight_there_are_words_only() -> None:
    encoder = toy_encoder()
    stage = objective(encoder, blocks_weight=0.0)
    assert stage.document is None
    assert set(stage(encoder, toy_batch(0), generator(0)).losses) == {"masked"}


def test_the_weight_is_the_losss() -> None:
    encoder, batch = toy_encoder().eval(), toy_batch(2, LENGTHS)
    one, other = objective(encoder).eval(), objective(encoder, blocks_weight=0.25).eval()
    other.load_state_dict(one.state_dict())
    losses = [float(stage(encoder, batch, generator(0)).losses["blocks"].detach()) for stage in (one, other)]
    assert losses[1] == pytest.approx(0.25 * losses[0])


def test_texts_of_one_block_leave_the_words_and_no_loss() -> None:
    encoder = toy_encoder()
    stage = objective(encoder)
    output = stage(encoder, toy_batch(0, (5, 4, 7)), generator(0))
    assert float(output.losses["blocks"].detach()) == 0.0
    output.total.backward()
    assert all(parameter.grad is not None for parameter in stage.parameters())


def test_likelihood_is_that_of_the_blocks() -> None:
    encoder = toy_encoder().eval()
    stage = objective(encoder).eval()
    amplify(encoder, stage)
    batch = toy_batch(1, (12, 6, 17))
    blocks = cut_into_blocks(batch, 5)
    found = stage.log_likelihood(encoder, batch)
    for number, (first, last) in enumerate(pairwise(blocks.cu_texts.tolist())):
        alone = [replace(shard_of_examples(blocks.batch, one, one + 1), shard=None) for one in range(first, last)]
        parts = [stage.log_likelihood(encoder, one) for one in alone]
        assert float(found.logs[number]) == pytest.approx(sum(float(one.logs) for one in parts), rel=1e-4)
        assert int(found.tokens[number]) == sum(int(one.tokens) for one in parts) > 0


def test_bad_settings() -> None:
    for wrong in ({"masked_blocks": 0.0}, {"masked_blocks": 1.0}, {"blocks_weight": -1.0}, {"layers": 0}):
        with pytest.raises(ReknitError, match=next(iter(wrong))):
            SentenceBlocksSpec(**wrong)
    encoder = toy_encoder()
    with pytest.raises(ReknitError, match="5 blocks is longer than the document transformer's 4 places"):
        objective(encoder, max_blocks=4)(encoder, equal_blocks(0, texts=1, blocks=5), generator(0))
