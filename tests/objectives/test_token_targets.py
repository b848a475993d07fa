"""Text2Token's targets: tf-idf of a text's tokens, by counts that a resume keeps."""

from __future__ import annotations

import math

import pytest
import torch
from toy_models import TOY_VOCABULARY, amplify, generator, toy_batch, toy_encoder, toy_texts

from reknit.data.batch import View
from reknit.encoders.pooling import pool
from reknit.errors import ReknitError
from reknit.objectives.token_targets import TokenTargets, TokenTargetSpec


def objective(**settings: object) -> TokenTargets:
    return TokenTargetSpec(**settings).build(toy_encoder(), TOY_VOCABULARY, "mean")


def test_targets_are_tf_idf_without_frequent_tokens() -> None:
    counted = objective(frequent_share=0.6)
    counted._count(toy_texts([10, 11], [10, 12], [10, 12, 12], [13]))
    found = counted._key_words(toy_texts([10, 12, 12, 13], [10]))[0]
    rarity = {12: 1 + math.log(5 / 3), 13: 1 + math.log(5 / 2)}
    total = 2 * rarity[12] + rarity[13]
    expected = torch.zeros(64)
    expected[12], expected[13] = 2 * rarity[12] / total, rarity[13] / total
    torch.testing.assert_close(found, expected)
    # A text of frequent tokens alone keeps them.
    assert counted._key_words(toy_texts([10, 10]))[0, 10] == pytest.approx(1.0)


def test_counts_are_made_in_training_only_and_survive_a_resume() -> None:
    encoder, batch = toy_encoder(), toy_batch(0)
    counting = objective()
    counting.eval()(encoder, batch, generator(0))
    assert float(counting.texts_seen) == 0
    counting.train()(encoder, batch, generator(0))
    assert float(counting.texts_seen) == batch.num_sequences
    resumed = objective()
    resumed.load_state_dict(counting.state_dict())
    assert torch.equal(resumed.texts_with, counting.texts_with)


def test_texts_without_words_want_nothing() -> None:
    encoder, batch = toy_encoder().eval(), toy_texts([], [10, 11])
    stage = objective().eval()
    stage._count(batch)
    wanted = stage.distributions(encoder, batch, generator(0))["token_targets"].targets
    assert wanted.sum(dim=1).tolist() == pytest.approx([0.0, 1.0])
    assert torch.isfinite(stage(encoder, batch, generator(0)).total)


def test_the_second_stage_learns_what_the_first_has_learnt() -> None:
    encoder, batch = toy_encoder().eval(), toy_texts([10, 11, 12], [], [13, 10])
    stage = TokenTargetSpec(first_stage=0.4, derived_tokens=3, frequent_share=0.5).build(
        encoder, TOY_VOCABULARY, "mean"
    )
    amplify(encoder, stage)
    stage._count(toy_texts([10, 11], [10], [13]))
    stage.eval()
    stage.after_step(encoder, 0.39)
    assert stage.stage == "first"
    assert torch.equal(
        stage.distributions(encoder, batch, generator(0))["token_targets"].targets, stage._key_words(batch)
    )

    stage.after_step(encoder, 0.4)
    assert stage.stage == "second"
    with torch.no_grad():
        vectors = stage.head(pool(encoder(View.clean(batch)), "mean"))
        shares = (vectors @ encoder.table.T + stage.head.bias).softmax(dim=1)
    expected = torch.zeros_like(shares)
    for text in (0, 2):  # a text without tokens wants nothing
        # 10 is in two of three texts, which is too frequent; special tokens are never wanted.
        order = [
            int(one) for one in shares[text].argsort(descending=True) if int(one) not in (10, *TOY_VOCABULARY.special)
        ]
        for token in order[:3]:
            expected[text, token] = shares[text, token] / shares[text, order[:3]].sum()
    torch.testing.assert_close(stage.distributions(encoder, batch, generator(0))["token_targets"].targets, expected)

    # From here on the targets stay, whatever is learnt, and a resumed run has them.
    with torch.no_grad():
        encoder.table.add_(torch.randn(encoder.table.shape, generator=generator(1)))
    stage.after_step(encoder, 0.7)
    torch.testing.assert_close(stage.distributions(encoder, batch, generator(0))["token_targets"].targets, expected)
    resumed = TokenTargetSpec(first_stage=0.4, derived_tokens=3, frequent_share=0.5).build(
        toy_encoder(seed=5), TOY_VOCABULARY, "mean"
    )
    resumed.load_state_dict(stage.state_dict())
    assert resumed.stage == "second"
    torch.testing.assert_close(resumed._derived_words(batch), expected)
    assert all(
        one.requires_grad is False for one in (*stage.first_encoder.parameters(), *stage.first_head.parameters())
    )


def test_dropout_is_not_in_the_first_stages_model() -> None:
    encoder, batch = toy_encoder(dropout=0.5), toy_batch(0)
    stage = TokenTargetSpec().build(encoder, TOY_VOCABULARY, "mean").train()
    stage.after_step(encoder, 0.5)
    assert torch.equal(stage._derived_words(batch), stage._derived_words(batch))


def test_one_stage_alone() -> None:
    encoder = toy_encoder()
    stage = TokenTargetSpec(first_stage=1.0).build(encoder, TOY_VOCABULARY, "mean")
    stage.after_step(encoder, 1.0)
    assert stage.stage == "first"
    assert not hasattr(stage, "first_encoder")


@pytest.mark.parametrize(
    "settings", [{"frequent_share": 0.0}, {"frequent_share": 1.5}, {"first_stage": 0.0}, {"derived_tokens": 0}]
)
def test_settings_out_of_range(settings: dict[str, object]) -> None:
    with pytest.raises(ReknitError, match=next(iter(settings))):
        TokenTargetSpec(**settings)
