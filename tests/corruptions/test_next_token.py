"""The causal view."""

from __future__ import annotations

from dataclasses import replace

import torch
from toy_models import TOY_VOCABULARY, generator, toy_batch

from reknit.corruptions.next_token import predict_next
from reknit.data.attention_rules import causal


def test_every_ordinary_token_but_the_first_is_asked_for() -> None:
    batch = toy_batch(0, (6, 2, 4))
    view = predict_next(batch, generator(0))
    assert view.predict.tolist() == [False, True, True, True, True, False, False, False, False, True, True, False]
    assert view.attention is causal
    assert torch.equal(view.tokens, batch.tokens)
    assert torch.equal(view.targets, batch.tokens)


def test_without_opening_special_token_the_first_token_has_no_context() -> None:
    batch = toy_batch(0, (5, 5))
    tokens = torch.where(batch.special, 9, batch.tokens)
    view = predict_next(replace(batch, tokens=tokens, special=torch.zeros_like(batch.special)), generator(0))
    assert view.predict.tolist() == [False, True, True, True, True] * 2


def test_unknown_tokens_are_not_asked_for() -> None:
    batch = toy_batch(0, (5,))
    tokens = batch.tokens.clone()
    tokens[2] = TOY_VOCABULARY.special[1]
    assert predict_next(replace(batch, tokens=tokens), generator(0)).predict.tolist() == [
        False,
        True,
        False,
        True,
        False,
    ]


def test_masked_past_is_hidden_and_asked_for_like_the_rest() -> None:
    batch = toy_batch(0, (42, 22))
    view = predict_next(batch, generator(0), masked_share=0.15)
    plain = predict_next(batch, generator(0))
    assert torch.equal(view.predict, plain.predict)
    assert torch.equal(view.targets, batch.tokens)
    changed = view.tokens != batch.tokens
    assert torch.equal(changed, view.masked)
    assert set(view.tokens[changed].tolist()) == {TOY_VOCABULARY.mask}
    assert [int(part.sum()) for part in changed.split([42, 22])] == [6, 3]
