"""What the generic checks cannot see of identifier-aware denoising: how its task is drawn, and what it needs."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from toy_models import TOY_VOCABULARY, generator, toy_batch, toy_encoder, with_spans

from reknit.data.shard import shard_of
from reknit.errors import ReknitError
from reknit.objectives.identifier_aware import IdentifierAware, IdentifierAwareSpec


def built(**settings: float) -> IdentifierAware:
    return IdentifierAwareSpec(**settings).build(toy_encoder(), TOY_VOCABULARY, "mean")


def test_each_task_has_the_same_chance_and_one_without_weight_has_none() -> None:
    every, some = built(), built(denoised_weight=0.0, tagging_weight=3.0)
    drawn = Counter(every.stage_of(generator(seed)) for seed in range(900))
    assert set(drawn) == {"denoised", "tagging", "identifiers"}
    assert min(drawn.values()) > 250
    two = Counter(some.stage_of(generator(seed)) for seed in range(300))
    assert set(two) == {"tagging", "identifiers"}
    assert min(two.values()) > 110


@pytest.mark.parametrize("seed", range(6))
def test_the_task_depends_on_nothing_but_the_generator(seed: int) -> None:
    objective, encoder = built(), toy_encoder()
    whole = with_spans(toy_batch(seed), seed)
    task = objective.stage_of(generator(seed))
    for batch in (whole, *(shard_of(whole, rank, 2) for rank in range(2)), with_spans(toy_batch(7, (4, 9)), 1)):
        assert list(objective(encoder, batch, generator(seed)).losses) == [task]


def test_losses_carry_their_weights() -> None:
    batch, encoder = with_spans(toy_batch(0), 0), toy_encoder().eval()
    none = {"denoised_weight": 0.0, "tagging_weight": 0.0, "identifiers_weight": 0.0}
    for task in ("denoised", "tagging", "identifiers"):
        losses = []
        for weight in (1.0, 2.5):
            torch.manual_seed(3)
            objective = built(**{**none, f"{task}_weight": weight}).eval()
            losses.append(float(objective(encoder, batch, generator(0)).losses[task].detach()))
        assert losses[1] == pytest.approx(2.5 * losses[0], rel=1e-5)


def test_tagging_says_of_each_ordinary_token_whether_it_is_tagged() -> None:
    batch = with_spans(toy_batch(0), 0)
    objective = built(denoised_weight=0.0, identifiers_weight=0.0)
    found = objective.decisions(toy_encoder(), batch, generator(0))["tagging"]
    assert found.positions.tolist() == (~batch.special).nonzero().squeeze(1).tolist()
    assert found.targets.tolist() == [number >= 0 for number in batch.tagged[~batch.special].tolist()]


def test_what_cannot_be() -> None:
    for wrong in ({"tagging_weight": -0.1}, {"denoised_weight": 0, "tagging_weight": 0, "identifiers_weight": 0}):
        with pytest.raises(ReknitError, match="weights of the tasks"):
            IdentifierAwareSpec(**wrong)
    with pytest.raises(ReknitError, match="must be 1 or more"):
        IdentifierAwareSpec(layers=0)
    objective = built(denoised_weight=0.0, identifiers_weight=0.0)
    with pytest.raises(ReknitError, match=r"set data\.tagger"):
        objective(toy_encoder(), toy_batch(0), generator(0))
