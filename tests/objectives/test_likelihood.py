"""Likelihoods of texts, against a model that is asked one token at a time."""

from __future__ import annotations

import pytest
import torch
from toy_models import TOY_VOCABULARY, amplify, toy_batch, toy_encoder

from reknit import catalogue
from reknit.data.attention_rules import causal
from reknit.data.batch import Batch, View
from reknit.objectives import likelihood

MASKED = ("mlm", "retromae", "dupmae", "bpdec")
CAUSAL = ("clm", "meap", "mlm-vs-clm", "babylm-gptbert", "unixcoder")


def pair(name: str) -> tuple:
    encoder = toy_encoder()
    objective = catalogue.find(name).objective.build(encoder, TOY_VOCABULARY, "mean")
    amplify(objective, encoder)
    return encoder.eval(), objective.eval()


def alone(batch: Batch, number: int) -> Batch:
    start, stop = batch.cu_seqlens[number : number + 2].tolist()
    triple = (batch.tokens[start:stop], batch.special[start:stop], batch.word_starts[start:stop])
    return Batch.pack([triple], batch.vocabulary)


def log_share(state: torch.Tensor, encoder: object, objective: object, token: int) -> float:
    logits = encoder.table @ state + objective.head.bias
    return float(logits[token] - logits.logsumexp(0))


@pytest.mark.parametrize("name", MASKED)
@pytest.mark.parametrize("at_once", [1, 40, 16_384])
def test_pseudo_log_likelihood_masks_one_token_at_a_time(
    name: str, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(likelihood, "_TOKENS_AT_ONCE", at_once)
    encoder, objective = pair(name)
    batch = toy_batch(1, (6, 3, 9))
    found = objective.log_likelihood(encoder, batch)
    for number in range(3):
        text, total = alone(batch, number), 0.0
        for place in range(1, text.num_tokens - 1):
            tokens = text.tokens.clone()
            tokens[place] = TOY_VOCABULARY.mask
            with torch.no_grad():
                states = encoder(View(tokens, text.cu_seqlens, text.tokens, text.special, text.special)).last
                if name == "bpdec":
                    states = objective.decoder(states, text.cu_seqlens)
                state = objective.head(states[place : place + 1])[0]
                total += log_share(state, encoder, objective, int(text.tokens[place]))
        assert float(found.logs[number]) == pytest.approx(total, rel=1e-4)
    assert found.tokens.tolist() == [4, 1, 7]
    assert not found.causal


@pytest.mark.parametrize("name", CAUSAL)
def test_causal_log_likelihood_reads_from_left_to_right(name: str) -> None:
    encoder, objective = pair(name)
    batch = toy_batch(1, (6, 3, 9))
    found = objective.log_likelihood(encoder, batch)
    for number in range(3):
        text, total = alone(batch, number), 0.0
        for place in range(1, text.num_tokens - 1):
            cut = Batch.pack([(text.tokens[:place], text.special[:place], text.word_starts[:place])], text.vocabulary)
            with torch.no_grad():
                state = objective.head(encoder(View.clean(cut, causal)).last[-1:])[0]
                total += log_share(state, encoder, objective, int(text.tokens[place]))
        assert float(found.logs[number]) == pytest.approx(total, rel=1e-4)
    assert found.tokens.tolist() == [4, 1, 7]
    assert found.causal


def test_a_schedule_is_the_model_of_its_present_part() -> None:
    encoder, objective = pair("mlm-vs-clm")
    batch = toy_batch(1, (6, 9))
    before = objective.log_likelihood(encoder, batch)
    objective.after_step(encoder, 1.0)
    after = objective.log_likelihood(encoder, batch)
    assert not torch.allclose(before.logs, after.logs)
    assert before.causal
    assert not after.causal


@pytest.mark.parametrize("name", ["electra", "rts", "slm", "simcse", "text2token"])
def test_others_are_no_language_models(name: str) -> None:
    encoder, objective = pair(name)
    assert objective.log_likelihood(encoder, toy_batch(0)) is None
