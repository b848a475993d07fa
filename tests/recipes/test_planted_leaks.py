"""Planted leaks of what is to be predicted: the entropy floor and the probes find them."""

from __future__ import annotations

from dataclasses import replace

import pytest
import recipe_checks as checks
import torch
from cases import CASES, RECIPES
from planted import fails
from torch import Tensor
from toy_models import SEVERAL, noise_for, texts_for, toy_batch, toy_pair

from reknit.corruptions.identifier_masking import mask_identifiers
from reknit.corruptions.masking import mask_tokens, mask_tokens_twice
from reknit.corruptions.next_token import predict_next
from reknit.corruptions.ngrams import FIRST, SECOND, mask_bigrams, view_places
from reknit.corruptions.span_token_masking import mask_span_tokens
from reknit.data.attention_rules import PrefixThenCausal, bidirectional
from reknit.data.batch import Batch, View
from reknit.decoders.document_transformer import DocumentTransformer
from reknit.decoders.enhanced import EnhancedDecoder, RandomContext, hashed_uniform
from reknit.encoders.base import Encoder
from reknit.losses.info_nce import info_nce
from reknit.objectives import (
    causal_language_model,
    contrastive,
    elastic_autoencoder,
    explicit_ngrams,
    generation_augmented,
    identifier_aware,
    masked_language_model,
    replaced_token_detection,
    retromae,
    sentence_blocks,
    unified_modes,
)
from reknit.objectives.predictions import Decisions, Matches, Predictions

Patch = pytest.MonkeyPatch


def noise(step: int) -> Batch:
    return toy_batch(step + 100)


@pytest.mark.parametrize("name", ["mlm", "retromae"])
def test_labels_on_visible_tokens(name: str, monkeypatch: Patch) -> None:
    def visible(batch: Batch, rng: torch.Generator, **settings: object) -> object:
        return replace(mask_tokens(batch, rng, **settings), tokens=batch.tokens)

    module = masked_language_model if name == "mlm" else retromae
    monkeypatch.setattr(module, "mask_tokens", visible)
    encoder, objective = toy_pair(RECIPES[name])
    fails(checks.check_no_peek, objective, encoder, toy_batch(3, SEVERAL))
    encoder, objective = toy_pair(RECIPES[name])
    fails(checks.check_entropy_floor, objective, encoder, noise)


@pytest.mark.parametrize("visible", [0, 1])
def test_labels_on_tokens_visible_to_encoder_or_decoder(visible: int, monkeypatch: Patch) -> None:
    def careless(batch: Batch, rng: torch.Generator, **settings: object) -> tuple[View, View]:
        views = list(mask_tokens_twice(batch, rng, **settings))
        views[visible] = replace(views[visible], tokens=batch.tokens)
        return views[0], views[1]

    monkeypatch.setattr(elastic_autoencoder, "mask_tokens_twice", careless)
    encoder, objective = toy_pair(RECIPES["smae"])
    fails(checks.check_no_peek, objective, encoder, toy_batch(3, SEVERAL))
    encoder, objective = toy_pair(RECIPES["smae"])
    fails(checks.check_entropy_floor, objective, encoder, noise)


def test_a_sentence_vector_called_blind_to_what_the_encoder_saw(monkeypatch: Patch) -> None:
    def careless(batch: Batch, rng: torch.Generator, **settings: object) -> tuple[View, View]:
        shown, sparse = mask_tokens_twice(batch, rng, **settings)
        return replace(shown, masked=torch.ones_like(shown.masked)), sparse

    monkeypatch.setattr(elastic_autoencoder, "mask_tokens_twice", careless)
    encoder, objective = toy_pair(RECIPES["smae"])
    fails(checks.check_no_peek, objective, encoder, toy_batch(3, SEVERAL))


def test_labels_on_visible_tokens_of_spans(monkeypatch: Patch) -> None:
    def visible(batch: Batch, rng: torch.Generator, **settings: object) -> object:
        return replace(mask_span_tokens(batch, rng, **settings), tokens=batch.tokens)

    monkeypatch.setattr(masked_language_model, "mask_span_tokens", visible)
    recipe = RECIPES["lem"]
    encoder, objective = toy_pair(recipe)
    fails(checks.check_no_peek, objective, encoder, texts_for(recipe, 3))
    encoder, objective = toy_pair(recipe)
    fails(checks.check_entropy_floor, objective, encoder, lambda step: noise_for(recipe, step))


def test_identifiers_are_shown(monkeypatch: Patch) -> None:
    def visible(batch: Batch, rng: torch.Generator, **settings: object) -> object:
        view, once = mask_identifiers(batch, rng, **settings)
        return replace(view, tokens=batch.tokens), once

    # A toy decoder does not learn to copy in so few steps that the entropy floor would notice.
    monkeypatch.setattr(identifier_aware, "mask_identifiers", visible)
    case = CASES["codet5, identifiers alone"]
    fails(checks.check_no_peek, *reversed(case.pair()), texts_for(case.recipe, 3))


def test_unshifted_causal_targets(monkeypatch: Patch) -> None:
    class Unshifted(causal_language_model.CausalLanguageModel):
        def predictions(self, encoder: Encoder, batch: Batch, rng: torch.Generator) -> dict[str, Predictions]:
            positions = predict_next(batch, rng).predict.nonzero().squeeze(1)
            states = self.head(encoder(predict_next(batch, rng)).last[positions])
            return {"causal": Predictions(states, positions, batch.tokens[positions], positions >= 0)}

    monkeypatch.setattr(causal_language_model, "CausalLanguageModel", Unshifted)
    encoder, objective = toy_pair(RECIPES["clm"])
    fails(checks.check_no_peek, objective, encoder, toy_batch(3, SEVERAL))
    encoder, objective = toy_pair(RECIPES["clm"])
    fails(checks.check_entropy_floor, objective, encoder, noise)


def test_forgotten_causal_mask(monkeypatch: Patch) -> None:
    monkeypatch.setattr(
        causal_language_model,
        "predict_next",
        lambda batch, rng, **settings: replace(predict_next(batch, rng), attention=bidirectional),
    )
    encoder, objective = toy_pair(RECIPES["clm"])
    fails(checks.check_no_peek, objective, encoder, toy_batch(3, SEVERAL))


def test_wrong_direction_of_the_causal_mask(monkeypatch: Patch) -> None:
    monkeypatch.setattr(
        causal_language_model,
        "predict_next",
        lambda batch, rng, **settings: replace(
            predict_next(batch, rng), attention=lambda context: context.key >= context.query
        ),
    )
    encoder, objective = toy_pair(RECIPES["clm"])
    fails(checks.check_no_peek, objective, encoder, toy_batch(3, SEVERAL))


def test_what_is_written_is_seen_from_both_sides(monkeypatch: Patch) -> None:
    monkeypatch.setattr(PrefixThenCausal, "__call__", lambda self, context: bidirectional(context))
    encoder, objective = CASES["unixcoder, denoised alone"].pair()
    fails(checks.check_no_peek, objective, encoder, toy_batch(3, SEVERAL))


def test_the_damaged_part_sees_what_is_written(monkeypatch: Patch) -> None:
    monkeypatch.setattr(
        PrefixThenCausal,
        "__call__",
        lambda self, context: ~self.behind[context.query_index] | (context.key <= context.query),
    )
    encoder, objective = CASES["unixcoder, denoised alone"].pair()
    fails(checks.check_no_peek, objective, encoder, toy_batch(3, SEVERAL))


@pytest.mark.parametrize("mistake", ["another text's vector", "a vector of no text"])
def test_texts_meet_wrong_vectors(mistake: str, monkeypatch: Patch) -> None:
    right = unified_modes.UnifiedModes._matched

    def wrong(*arguments: object) -> Matches:
        found = right(*arguments)
        if mistake == "another text's vector":
            return replace(found, targets=found.targets.roll(1, dims=0))
        return replace(found, states=torch.ones_like(found.states))

    monkeypatch.setattr(unified_modes.UnifiedModes, "_matched", wrong)
    encoder, objective = CASES["unixcoder, contrastive alone"].pair()
    fails(checks.check_no_peek, objective, encoder, toy_batch(3, SEVERAL))


def test_decoder_row_sees_itself(monkeypatch: Patch) -> None:
    def careless(self: RandomContext, context: object) -> Tensor:
        draws = hashed_uniform(self.seed, context.query_index, self.words[context.key_index])
        return (draws >= self.hidden_ratio) | self.always[context.key_index]

    monkeypatch.setattr(RandomContext, "__call__", careless)
    encoder, objective = toy_pair(RECIPES["retromae"])
    fails(checks.check_no_peek, objective, encoder, toy_batch(3, SEVERAL))


def test_decoder_residual_carries_the_token(monkeypatch: Patch) -> None:
    right = EnhancedDecoder.forward

    def leaky(self: EnhancedDecoder, sentences: Tensor, tokens: Tensor, cu_seqlens: Tensor, *rest: object) -> Tensor:
        table, _, rows = rest
        return right(self, sentences, tokens, cu_seqlens, *rest) + table[tokens[rows]]

    monkeypatch.setattr(EnhancedDecoder, "forward", leaky)
    encoder, objective = toy_pair(RECIPES["retromae"])
    fails(checks.check_no_peek, objective, encoder, toy_batch(3, SEVERAL))


@pytest.mark.parametrize("comprehensive", [True, False])
@pytest.mark.parametrize("shown", [FIRST, SECOND])
def test_masked_bigram_shows_one_of_its_tokens(comprehensive: bool, shown: int, monkeypatch: Patch) -> None:
    def leaky(batch: Batch, rng: torch.Generator, bigrams: Tensor, **settings: object) -> tuple[View, Tensor]:
        view, became = mask_bigrams(batch, rng, bigrams, **settings)
        tokens, here = view.tokens.clone(), became == shown
        tokens[view_places(became)[here]] = batch.tokens[here]
        return replace(view, tokens=tokens), became

    monkeypatch.setattr(explicit_ngrams, "mask_bigrams", leaky)
    recipe = RECIPES["ernie-gram"]
    recipe = replace(recipe, objective=replace(recipe.objective, comprehensive=comprehensive))
    encoder, objective = toy_pair(recipe, progress=1.0)
    fails(checks.check_no_peek, objective, encoder, toy_batch(3, SEVERAL))


def test_hidden_block_is_seen(monkeypatch: Patch) -> None:
    monkeypatch.setattr(DocumentTransformer, "_seen", lambda self, vectors, hidden: vectors)
    encoder, objective = toy_pair(RECIPES["smith"])
    fails(checks.check_no_peek, objective, encoder, toy_batch(3, SEVERAL))


def test_other_blocks_are_asked_for(monkeypatch: Patch) -> None:
    right = sentence_blocks.SentenceBlocks._match

    def next_ones(*arguments: object) -> Matches:
        found = right(*arguments)
        return replace(found, targets=found.targets.roll(1, dims=0))

    monkeypatch.setattr(sentence_blocks.SentenceBlocks, "_match", next_ones)
    encoder, objective = toy_pair(RECIPES["smith"])
    fails(checks.check_no_peek, objective, encoder, toy_batch(3, SEVERAL))


@pytest.mark.parametrize("name", ["simcse", "mirror-bert", "infonce-pairs"])
def test_queries_are_their_own_passages(name: str, monkeypatch: Patch) -> None:
    def own(queries: Tensor, passages: Tensor, *rest: object, **settings: object) -> tuple[Tensor, Tensor]:
        return info_nce(queries, queries + 0.01 * passages, *rest, **settings)

    monkeypatch.setattr(contrastive, "info_nce", own)
    encoder, objective = toy_pair(RECIPES[name], pooling="mean")
    fresh = lambda step: noise_for(RECIPES[name], step)  # noqa: E731
    fails(checks.check_entropy_floor, objective, encoder, fresh, learning_rate=1e-3)


def test_passage_is_written_with_a_look_ahead(monkeypatch: Patch) -> None:
    monkeypatch.setattr(generation_augmented, "causal", bidirectional)
    encoder, objective = toy_pair(RECIPES["ullme"])
    fails(checks.check_no_peek, objective, encoder, texts_for(RECIPES["ullme"], 3))


@pytest.mark.parametrize("name", ["rts", "electra"])
def test_detector_knows_the_text(name: str, monkeypatch: Patch) -> None:
    right = replaced_token_detection.decide

    def knowing(head: object, encoder: Encoder, view: View, *rest: object) -> Decisions:
        found = right(head, encoder, view, *rest)
        return replace(found, states=found.states + 0.01 * view.targets[found.positions])

    monkeypatch.setattr(replaced_token_detection, "decide", knowing)
    encoder, objective = toy_pair(RECIPES[name])
    fails(checks.check_no_peek, objective, encoder, toy_batch(3, SEVERAL))


# --- what an objective does not declare ------------------------------------------------------------------------------


def test_floor_is_not_declared(monkeypatch: Patch) -> None:
    monkeypatch.setattr(retromae.RetroMAE, "floors", lambda *arguments: {"masked": 1.0})
    encoder, objective = toy_pair(RECIPES["retromae"])
    fails(checks.check_entropy_floor, objective, encoder, noise)


@pytest.mark.parametrize("empty", [0.0, ""])
def test_floor_says_nothing(empty: float | str, monkeypatch: Patch) -> None:
    monkeypatch.setattr(masked_language_model.MaskedLanguageModel, "floors", lambda *arguments: {"masked": empty})
    encoder, objective = toy_pair(RECIPES["mlm"])
    fails(checks.check_entropy_floor, objective, encoder, noise)


def test_floor_is_too_low_for_a_leak_to_show(monkeypatch: Patch) -> None:
    """All is called seen: then nothing is left to be predicted unseen."""
    right = masked_language_model.predicted_in_place

    def seen(*arguments: object) -> Predictions:
        found = right(*arguments)
        return replace(found, unseen=torch.zeros_like(found.unseen))

    monkeypatch.setattr(masked_language_model, "predicted_in_place", seen)
    encoder, objective = toy_pair(RECIPES["mlm"])
    fails(checks.check_entropy_floor, objective, encoder, noise)


def test_some_masked_tokens_are_called_seen(monkeypatch: Patch) -> None:
    """A floor would be too low by them."""
    right = masked_language_model.predicted_in_place

    def seen(*arguments: object) -> Predictions:
        found = right(*arguments)
        return replace(found, unseen=found.unseen & (found.positions % 2 == 0))

    monkeypatch.setattr(masked_language_model, "predicted_in_place", seen)
    encoder, objective = toy_pair(RECIPES["mlm"])
    fails(checks.check_no_peek, objective, encoder, toy_batch(3, SEVERAL))


@pytest.mark.parametrize("name", ["simcse", "dupmae", "text2token", "hybrid-distillation", "codet5, tagging alone"])
def test_nothing_says_why_answers_are_not_seen(name: str) -> None:
    encoder, objective = CASES[name].pair()
    objective.visible = {}
    fails(checks.check_no_peek, objective, encoder, texts_for(CASES[name].recipe, 3))
