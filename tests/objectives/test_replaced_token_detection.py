"""What the generic checks cannot see of replaced-token detection, hybrid, scheduled and decoded objectives."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from toy_models import ORDINARY_IDS, TOY_VOCABULARY, generator, toy_batch, toy_encoder

from reknit.data.attention_rules import CausalWhere
from reknit.errors import ReknitError
from reknit.objectives.decoded_language_model import DecodedLanguageModelSpec
from reknit.objectives.hybrid_language_model import HybridLanguageModel, HybridLanguageModelSpec
from reknit.objectives.replaced_token_detection import (
    RandomTokenDetectionSpec,
    ReplacedTokenDetection,
    ReplacedTokenDetectionSpec,
)
from reknit.objectives.scheduled import CausalThenMaskedSpec

LONG = (40, 60, 50, 30) * 6


def detection(**settings: object) -> tuple[object, ReplacedTokenDetection]:
    encoder = toy_encoder()
    return encoder, ReplacedTokenDetectionSpec(**settings).build(encoder, TOY_VOCABULARY, "cls")


def test_detection_teaches_the_generator_nothing() -> None:
    encoder, objective = detection()
    objective(encoder, toy_batch(0), generator(0)).losses["detection"].backward()
    assert all(p.grad is None for p in objective.generator.parameters())


def test_only_what_was_asked_for_is_replaced_and_a_lucky_sample_is_no_replacement() -> None:
    encoder, objective = detection(ratio=0.3)
    objective.eval()  # dropout in the generator would sample other tokens the second time
    batch = toy_batch(0, LONG)
    predicted, view = objective._fill(encoder, batch, generator(0))
    changed = (view.tokens != batch.tokens).nonzero().squeeze(1)
    assert set(changed.tolist()) < set(predicted.positions.tolist())
    assert not set(view.tokens[predicted.positions].tolist()) & set(TOY_VOCABULARY.special)
    decided = objective.decisions(encoder, batch, generator(0))["detection"]
    assert decided.positions[decided.targets].tolist() == changed.tolist()
    # An untrained generator fills in nearly uniform tokens, so about one in ORDINARY_IDS is right by luck.
    lucky = predicted.positions.numel() - changed.numel()
    assert 0 < lucky < 5 * predicted.positions.numel() / ORDINARY_IDS


def test_deciding_about_masked_tokens_only() -> None:
    encoder, objective = detection(decided="masked")
    batch = toy_batch(0)
    asked = objective.predictions(encoder, batch, generator(0))["generator"].positions
    assert torch.equal(objective.decisions(encoder, batch, generator(0))["detection"].positions, asked)


def test_disentangled_embeddings() -> None:
    encoder, objective = detection(embeddings="disentangled")
    batch = toy_batch(0)
    losses = objective(encoder, batch, generator(0)).losses
    losses["generator"].backward(retain_graph=True)
    assert encoder.table.grad is None
    assert float(objective.table.grad.abs().sum()) > 0
    objective.table.grad = None
    losses["detection"].backward()
    assert objective.table.grad is None
    assert float(encoder.table.grad.abs().sum()) > 0

    before, own = encoder.table.detach().clone(), torch.randn_like(encoder.table)
    with torch.no_grad():
        objective.table.add_(0.5)  # as the optimiser moves the generator's table,
        encoder.table.add_(own)  # and the encoder's
    for _ in range(2):  # the second time nothing has moved
        objective.after_step(encoder, 0.1)
        torch.testing.assert_close(encoder.table.detach(), before + own + 0.5)


def test_random_replacements_need_no_mask_token() -> None:
    encoder = toy_encoder()
    objective = RandomTokenDetectionSpec(ratio=0.2).build(encoder, TOY_VOCABULARY, "cls")
    batch = toy_batch(0, LONG)
    batch = replace(batch, vocabulary=replace(TOY_VOCABULARY, mask=-1))
    decided = objective.decisions(encoder, batch, generator(0))["detection"]
    assert float(decided.targets.float().mean()) == pytest.approx(0.2 * (1 - 1 / ORDINARY_IDS), abs=0.02)


def hybrid(**settings: object) -> HybridLanguageModel:
    return HybridLanguageModelSpec(**settings).build(toy_encoder(), TOY_VOCABULARY, "cls")


def test_hybrid_texts_are_causal_or_masked_as_a_whole() -> None:
    batch = toy_batch(0, (12, 20, 16) * 40)
    view, causal = hybrid()._view(batch, generator(0))
    assert isinstance(view.attention, CausalWhere)
    shares = []
    for start, stop in zip(batch.cu_seqlens[:-1].tolist(), batch.cu_seqlens[1:].tolist(), strict=True):
        here = slice(start, stop)
        assert causal[here].all() or not causal[here].any()
        if causal[start]:
            assert torch.equal(view.tokens[here], batch.tokens[here])
            assert int(view.predict[here].sum()) == stop - start - 2
        else:
            shares.append(float(view.predict[here].sum()) / (stop - start - 2))
    assert float(causal.float().mean()) == pytest.approx(0.5, abs=0.12)
    assert sum(shares) / len(shares) == pytest.approx(0.3, abs=0.06)


def test_hybrid_masks_less_towards_the_end_also_after_a_resume() -> None:
    batch, objective = toy_batch(0, LONG), hybrid(causal_share=0.0)
    objective.after_step(toy_encoder(), 1.0)
    resumed = hybrid(causal_share=0.0)
    resumed.load_state_dict(objective.state_dict())
    share = float(resumed._view(batch, generator(0))[0].predict.float().sum()) / (batch.num_tokens - 2 * len(LONG))
    assert share == pytest.approx(0.15, abs=0.03)


def test_schedule_switches_once_and_a_resume_knows_where_it_is() -> None:
    encoder = toy_encoder()
    objective = CausalThenMaskedSpec(switch_at=0.5).build(encoder, TOY_VOCABULARY, "cls")
    for progress, name in ((0.0, "causal"), (0.49, "causal"), (0.5, "masked"), (1.0, "masked")):
        objective.after_step(encoder, progress)
        resumed = CausalThenMaskedSpec(switch_at=0.5).build(encoder, TOY_VOCABULARY, "cls")
        resumed.load_state_dict(objective.state_dict())
        assert set(resumed(encoder, toy_batch(0), generator(0)).losses) == {name}


def test_decoder_layers_see_more_and_more_of_what_is_hidden() -> None:
    objective = DecodedLanguageModelSpec(layers=4).build(toy_encoder(), TOY_VOCABULARY, "cls")
    hidden, draws = torch.arange(400) % 2 == 0, torch.rand(400, generator=generator(0))
    seen = [rule.visible for rule in objective._rules(hidden, draws)]
    assert all((here <= there).all() for here, there in pairwise(seen))
    assert all(one[~hidden].all() for one in seen)
    assert [round(float(one[hidden].float().mean()), 1) for one in seen] == pytest.approx([0.2, 0.5, 0.8, 1.0], abs=0.1)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ReplacedTokenDetectionSpec(generator_width=0.0), "generator_width is 0.0"),
        (lambda: ReplacedTokenDetectionSpec(generator_depth=0), "generator_depth is 0"),
        (lambda: HybridLanguageModelSpec(causal_share=1.1), "causal_share is 1.1"),
        (lambda: CausalThenMaskedSpec(switch_at=-0.1), "switch_at is -0.1"),
        (lambda: DecodedLanguageModelSpec(layers=0), "layers is 0"),
        (lambda: DecodedLanguageModelSpec(encoder_share=1.0), "encoder_share is 1.0"),
    ],
)
def test_settings_out_of_range(make: object, message: str) -> None:
    with pytest.raises(ReknitError, match=message):
        make()
