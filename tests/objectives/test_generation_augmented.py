"""Passages written from their queries, against loops."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from toy_models import TOY_VOCABULARY, amplify, generator, toy_encoder, toy_pairs

from reknit.data.attention_rules import causal
from reknit.data.batch import View
from reknit.errors import ReknitError
from reknit.objectives.draws import draw_seed
from reknit.objectives.generation_augmented import GenerationAugmented, GenerationAugmentedSpec, drawn_pairs


@pytest.fixture
def made():
    encoder = toy_encoder(dropout=0.0).eval()
    objective = GenerationAugmentedSpec(share=0.5, negatives=2).build(encoder, TOY_VOCABULARY, "mean").eval()
    amplify(encoder, objective)
    return encoder, objective


@torch.no_grad()
def by_loops(encoder, objective: GenerationAugmented, batch, query: int, passage: int) -> float:
    offsets = batch.cu_seqlens.tolist()
    first = batch.tokens[offsets[query] : offsets[query + 1]].tolist()
    second = batch.tokens[offsets[passage] : offsets[passage + 1]].tolist()[1:]  # without [CLS]
    tokens = torch.tensor(first + second)
    nothing = torch.zeros_like(tokens).bool()
    states = encoder(View(tokens, torch.tensor([0, len(tokens)]), tokens, nothing, nothing, causal)).last
    logs = []
    for place in range(len(first), len(tokens) - 1):  # not [SEP]
        logits = objective.head(states[place - 1][None])[0] @ encoder.table.t() + objective.head.bias
        logs.append(float(logits.log_softmax(dim=0)[tokens[place]]))
    return sum(logs) / len(logs)


def test_log_likelihood_of_passages(made) -> None:
    encoder, objective = made
    batch = toy_pairs(1, pairs=4)
    queries, passages = torch.tensor([0, 2, 2, 6]), torch.tensor([1, 3, 7, 1])
    with torch.no_grad():
        found = objective.log_likelihood_of_passages(encoder, batch, queries, passages)
    expected = [by_loops(encoder, objective, batch, int(q), int(p)) for q, p in zip(queries, passages, strict=True)]
    assert found.tolist() == pytest.approx(expected, abs=1e-4)


def test_losses(made) -> None:
    encoder, objective = made
    batch = replace(toy_pairs(2, pairs=6), groups=torch.tensor([0, 1, 1, 2, 3, 4]))
    with torch.no_grad():
        losses = objective(encoder, batch, generator(7)).losses
        vectors = torch.nn.functional.normalize(objective.embed(encoder, batch, generator(0)), dim=1)
    drawn = drawn_pairs(batch, draw_seed(generator(7)), 0.5).nonzero().squeeze(1).tolist()
    assert 0 < len(drawn) < 6
    generation, agreement = [], []
    for i in drawn:
        others = [j for j in range(6) if batch.groups[j] != batch.groups[i]]
        similarity = {j: float(vectors[2 * i] @ vectors[2 * j + 1]) / 0.05 for j in (i, *others)}
        listed = [i, *sorted(others, key=lambda j: -similarity[j])[:2]]
        written = [by_loops(encoder, objective, batch, 2 * i, 2 * j + 1) for j in listed]
        generation.append(-written[0])

        def shares(scores: list[float]) -> list[float]:
            total = sum(map(math.exp, scores))
            return [math.exp(score) / total for score in scores]

        wanted, given = shares(written), shares([similarity[j] for j in listed])
        agreement.append(sum(w * math.log(w / g) for w, g in zip(wanted, given, strict=True)))
    assert float(losses["generation"]) == pytest.approx(sum(generation) / len(drawn), abs=1e-4)
    assert float(losses["agreement"]) == pytest.approx(sum(agreement) / len(drawn), abs=1e-3)


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
