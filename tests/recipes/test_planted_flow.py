"""Planted mistakes in where gradients go, and in what no gradient trains."""

from __future__ import annotations

import copy
from dataclasses import replace
from functools import partial
from types import MappingProxyType

import pytest
import recipe_checks as checks
import torch
from cases import CASES, RECIPES
from planted import fails
from torch import Tensor, nn
from toy_models import batch_for, toy_batch, toy_pair, toy_pairs

from reknit.corruptions.masking import mask_tokens
from reknit.data.batch import Batch
from reknit.encoders.base import Encoded, Encoder
from reknit.encoders.pooling import pool
from reknit.objectives import contrastive, ranking_distillation, sentence_blocks, token_targets
from reknit.objectives.base import FollowsProgress, Objective, StepOutput
from reknit.objectives.elastic_autoencoder import ElasticAutoencoder
from reknit.objectives.replaced_token_detection import ReplacedTokenDetection
from reknit.objectives.retromae import RetroMAE
from reknit.objectives.token_targets import TokenTargets

Patch = pytest.MonkeyPatch


@pytest.mark.parametrize("name", ["retromae", "dupmae"])
def test_detached_sentence_vector(name: str, monkeypatch: Patch) -> None:
    right = RetroMAE.sentence_vectors
    monkeypatch.setattr(RetroMAE, "sentence_vectors", lambda self, encoded: right(self, encoded).detach())
    encoder, objective = toy_pair(RECIPES[name])
    fails(checks.check_gradients_reach_encoder, objective, encoder, toy_batch(0))
    fails(checks.check_bottleneck, objective, encoder, toy_batch(0))


def test_detached_sentence_vectors_of_sizes(monkeypatch: Patch) -> None:
    right = ElasticAutoencoder.sentence_vectors
    monkeypatch.setattr(ElasticAutoencoder, "sentence_vectors", lambda *arguments: right(*arguments).detach())
    encoder, objective = toy_pair(RECIPES["smae"])
    fails(checks.check_gradients_reach_encoder, objective, encoder, toy_batch(0))
    fails(checks.check_bottleneck, objective, encoder, toy_batch(0))


def test_decoder_reads_every_hidden_state(monkeypatch: Patch) -> None:
    def leaky(self: RetroMAE, encoded: Encoded) -> Tensor:
        return pool(encoded, "cls") + 0.1 * pool(encoded, "mean")

    monkeypatch.setattr(RetroMAE, "sentence_vectors", leaky)
    encoder, objective = toy_pair(RECIPES["retromae"])
    fails(checks.check_bottleneck, objective, encoder, toy_batch(0))


def test_detached_pooling_of_pairs(monkeypatch: Patch) -> None:
    right = contrastive.pool
    monkeypatch.setattr(contrastive, "pool", lambda encoded, mode: right(encoded, mode).detach())
    encoder, objective = toy_pair(RECIPES["simcse"])
    with pytest.raises((AssertionError, RuntimeError)):
        checks.check_gradients_reach_encoder(objective, encoder, toy_pairs(0))


def test_detached_vectors_of_blocks(monkeypatch: Patch) -> None:
    right = sentence_blocks.pool
    monkeypatch.setattr(sentence_blocks, "pool", lambda encoded, mode: right(encoded, mode).detach())
    encoder, objective = toy_pair(RECIPES["smith"])
    fails(checks.check_gradients_reach_encoder, objective, encoder, toy_batch(0))


VECTORS = {"hybrid-distillation": ranking_distillation, "text2token": token_targets, "smith": sentence_blocks}


@pytest.mark.parametrize("name", VECTORS)
def test_vectors_of_other_rows(name: str, monkeypatch: Patch) -> None:
    right = pool
    monkeypatch.setattr(
        VECTORS[name], "pool", lambda encoded, mode: right(encoded, mode) + 0.1 * right(encoded, "mean")
    )
    encoder, objective = toy_pair(RECIPES[name])
    fails(checks.check_bottleneck, objective, encoder, batch_for(RECIPES[name], 0))


@pytest.mark.parametrize("name", ["hybrid-distillation", "text2token"])
def test_half_of_the_vectors_are_detached(name: str, monkeypatch: Patch) -> None:
    def half(encoded: Encoded, mode: str) -> Tensor:
        vectors = pool(encoded, mode)
        odd = torch.arange(len(vectors))[:, None] % 2 == 1
        return torch.where(odd, vectors.detach(), vectors)

    monkeypatch.setattr(VECTORS[name], "pool", half)
    encoder, objective = toy_pair(RECIPES[name])
    fails(checks.check_bottleneck, objective, encoder, batch_for(RECIPES[name], 0))


@pytest.mark.parametrize("name", ["simcse", "retromae", "smae", "smith", "text2token", "unixcoder, contrastive alone"])
def test_vector_losses_are_not_declared(name: str) -> None:
    encoder, objective = CASES[name].pair()
    objective.vector_losses = frozenset()
    fails(checks.check_bottleneck, objective, encoder, batch_for(CASES[name].recipe, 0))


# --- what no gradient trains -----------------------------------------------------------------------------------------


class ToyTeacher(Objective):
    """A student that follows a moving average of itself; `moving` off is the bug."""

    untrained = MappingProxyType({"teacher": "step"})

    def __init__(self, encoder: Encoder, moving: bool) -> None:
        super().__init__()
        self.teacher: nn.Module = copy.deepcopy(encoder).requires_grad_(False)
        self.moving = moving

    def forward(self, encoder: Encoder, batch: Batch, rng: torch.Generator) -> StepOutput:
        view = mask_tokens(batch, rng)
        with torch.no_grad():
            target = self.teacher(replace(view, tokens=batch.tokens)).last
        return StepOutput({"follow": (encoder(view).last - target).square().mean()})

    def after_step(self, encoder: Encoder, progress: float) -> None:
        if self.moving:
            with torch.no_grad():
                for old, new in zip(self.teacher.parameters(), encoder.parameters(), strict=True):
                    old.lerp_(new, 0.1)


def test_teacher_stands_still() -> None:
    encoder, _ = toy_pair(RECIPES["mlm"])
    checks.check_untrained(ToyTeacher(encoder, moving=True), encoder, toy_batch(0))
    fails(checks.check_untrained, ToyTeacher(encoder, moving=False), encoder, toy_batch(0))


def test_teacher_never_changes_but_by_mistake() -> None:
    encoder, _ = toy_pair(RECIPES["mlm"])
    for moving, check in ((False, checks.check_untrained), (True, partial(fails, checks.check_untrained))):
        teacher = ToyTeacher(encoder, moving)
        teacher.untrained = {"teacher": "never"}
        check(teacher, encoder, toy_batch(0))


@pytest.mark.parametrize("mistake", ["not copied", "copied in every step", "trained by gradient", "not declared"])
def test_mistaken_first_stage(mistake: str, monkeypatch: Patch) -> None:
    def copied(self: TokenTargets, encoder: Encoder, progress: float) -> None:
        right(self, encoder, progress)
        self.first_head.load_state_dict(self.head.state_dict())

    right = TokenTargets.after_step
    if mistake == "not copied":
        monkeypatch.setattr(TokenTargets, "after_step", FollowsProgress.after_step)
    elif mistake == "copied in every step":
        monkeypatch.setattr(TokenTargets, "after_step", copied)
    encoder, objective = toy_pair(RECIPES["text2token"])
    if mistake == "trained by gradient":
        objective.first_head.requires_grad_(True)
    elif mistake == "not declared":
        objective.untrained = {}
    fails(checks.check_untrained, objective, encoder, batch_for(RECIPES["text2token"], 0))


def test_table_is_not_followed(monkeypatch: Patch) -> None:
    monkeypatch.setattr(ReplacedTokenDetection, "after_step", Objective.after_step)
    encoder, objective = toy_pair(RECIPES["camembert2"])
    fails(checks.check_untrained, objective, encoder, toy_batch(0))
