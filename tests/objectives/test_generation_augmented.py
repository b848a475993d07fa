"""Passages written from their queries, against loops."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from recipe_checks import check_against_naive
from toy_models import TOY_VOCABULARY, amplify, generator, toy_encoder, toy_pairs
from twins.generation_augmented import naive_writing

from reknit.errors import ReknitError
from reknit.objectives.generation_augmented import GenerationAugmentedSpec


@pytest.fixture
def made():
    encoder = toy_encoder(dropout=0.0).eval()
    objective = GenerationAugmentedSpec(share=0.5, negatives=2).build(encoder, TOY_VOCABULARY, "mean").eval()
    amplify(encoder, objective)
    return encoder, objective


def test_log_likelihood_of_passages(made) -> None:
    encoder, objective = made
    batch = toy_pairs(1, pairs=4)
    pairs = [(0, 1), (2, 3), (2, 7), (6, 1)]
    with torch.no_grad():
        found = objective.log_likelihood_of_passages(encoder, batch, *torch.tensor(pairs).unbind(dim=1))
        expected = [naive_writing(objective, encoder, batch, query, passage) for query, passage in pairs]
    torch.testing.assert_close(found, torch.stack(expected), rtol=0, atol=1e-4)


def test_losses_of_several_pairs_with_several_negatives(made) -> None:
    encoder, objective = made
    batch = replace(toy_pairs(2, pairs=6), groups=torch.tensor([0, 1, 1, 2, 3, 4]))
    check_against_naive(objective, encoder, batch)


def test_parts_can_be_left_out() -> None:
    encoder = toy_encoder()
    for changes, expected in (
        ({"agreement_weight": 0.0}, {"contrastive", "generation"}),
        ({"generation_weight": 0.0}, {"contrastive", "agreement"}),
        ({"agreement_weight": 0.0, "generation_weight": 0.0}, {"contrastive"}),
    ):
        objective = GenerationAugmentedSpec(**changes).build(encoder, TOY_VOCABULARY, "mean")
        assert set(objective(encoder, toy_pairs(0), generator(0)).losses) == expected
    for wrong in ({"share": 0.0}, {"negatives": 0}, {"agreement_weight": -1.0}):
        with pytest.raises(ReknitError):
            GenerationAugmentedSpec(**wrong)
