"""Text2Token's targets: tf-idf of a text's tokens, by counts that a resume keeps."""

from __future__ import annotations

import math

import pytest
import torch
from toy_models import TOY_VOCABULARY, generator, toy_batch, toy_encoder, toy_texts

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


@pytest.mark.parametrize("settings", [{"frequent_share": 0.0}, {"frequent_share": 1.5}])
def test_settings_out_of_range(settings: dict[str, object]) -> None:
    with pytest.raises(ReknitError, match=next(iter(settings))):
        TokenTargetSpec(**settings)
