"""The causal view."""

from __future__ import annotations

from dataclasses import replace

import torch
from toy_models import TOY_VOCABULARY, toy_batch

from reknit.corruptions.next_token import predict_next
from reknit.data.attention_rules import causal


def test_every_ordinary_token_but_the_first_is_asked_for() -> None:
    batch = toy_batch(0, (6, 2, 4))
    view = predict_next(batch)
    assert view.predict.tolist() == [False, True, True, True, True, False, False, False, False, True, True, False]
    assert view.attention is causal
    assert torch.equal(view.tokens, batch.tokens)
    assert torch.equal(view.targets, batch.tokens)


def test_without_opening_special_token_the_first_token_has_no_context() -> None:
    batch = toy_batch(0, (5, 5))
    tokens = torch.where(batch.special, 9, batch.tokens)
    view = predict_next(replace(batch, tokens=tokens, special=torch.zeros_like(batch.special)))
    assert view.predict.tolist() == [False, True, True, True, True] * 2


def test_unknown_tokens_are_not_asked_for() -> None:
    batch = toy_batch(0, (5,))
    tokens = batch.tokens.clone()
    tokens[2] = TOY_VOCABULARY.special[1]
    assert predict_next(replace(batch, tokens=tokens)).predict.tolist() == [False, True, False, True, False]
