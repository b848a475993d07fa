"""What recipes say of their attention rules is what their steps use, and encoders that cannot are refused at once."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from cases import CASES, RECIPES, Case
from toy_models import batch_for, toy_encoder

from reknit.data.attention_rules import AttentionRule, Both, bidirectional, causal
from reknit.encoders.mixers.attention import SelfAttention
from reknit.errors import ReknitError
from reknit.recipe import Recipe


def kind(rule: AttentionRule) -> str:
    if isinstance(rule, Both):
        return f"{kind(rule.first)} and {kind(rule.second)}"
    return getattr(rule, "__name__", type(rule).__name__)


def kinds_used(case: Case, monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Kinds of the rules that the encoder is given in one step."""
    used: list[AttentionRule] = []
    monkeypatch.setattr(SelfAttention, "check_rule", lambda mixer, rule: used.append(rule))
    encoder, objective = case.pair()
    objective(encoder, batch_for(case.recipe, 0), torch.Generator().manual_seed(0))
    assert used, "the encoder was not asked"
    return {kind(rule) for rule in used if rule is not bidirectional and rule is not causal}


@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
def test_steps_use_the_rules_that_the_settings_name(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    assert kinds_used(case, monkeypatch) == {kind(rule) for rule in case.recipe.objective.rules()}


def test_a_rule_that_is_not_named_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = RECIPES["gem"]
    monkeypatch.setattr(type(recipe.objective), "rules", lambda spec: ())
    with pytest.raises(AssertionError):
        test_steps_use_the_rules_that_the_settings_name(Case(recipe), monkeypatch)


def test_a_task_that_is_never_drawn_needs_no_rule() -> None:
    def refused(recipe: Recipe) -> bool:
        try:
            for rule in recipe.objective.rules():
                toy_encoder(mixer="gla").check_rule(rule)
        except ReknitError:
            return True
        return False

    every = RECIPES["unixcoder"]
    assert refused(every)
    assert not refused(replace(every, objective=replace(every.objective, denoised_weight=0.0)))
    assert not refused(RECIPES["mlm"])
    assert not refused(RECIPES["clm"])
