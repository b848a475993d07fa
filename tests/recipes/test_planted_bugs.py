"""Each check fails on the bug that it is there for: realistic mistakes, planted one at a time."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import replace

import pytest
import recipe_checks as checks
import torch
from naive_losses import chance
from test_every_recipe import GOLDEN, RECIPES, VARIANTS, current_first_losses, entropy_floors, neighbours
from torch import Tensor, nn
from torch.nn import functional
from toy_models import ORDINARY_IDS, SEVERAL, batch_for, fit_for, toy_batch, toy_pair, toy_pairs

from reknit.corruptions.identifier_masking import mask_identifiers
from reknit.corruptions.masking import mask_tokens, mask_tokens_twice
from reknit.corruptions.next_token import predict_next
from reknit.corruptions.ngrams import FIRST, SECOND, mask_bigrams, view_places
from reknit.corruptions.span_token_masking import mask_span_tokens, tags_of
from reknit.data.attention_rules import PrefixThenCausal, bidirectional
from reknit.data.batch import Batch, View, span_starts
from reknit.decoders import cross_encoder
from reknit.decoders.document_transformer import DocumentTransformer
from reknit.decoders.enhanced import EnhancedDecoder, RandomContext, hashed_uniform
from reknit.decoders.language_model_head import SlicedLanguageModelHead
from reknit.decoders.masked_decoder import MaskedDecoder
from reknit.encoders.attention.packed import AttentionLayout
from reknit.encoders.base import Encoded, Encoder
from reknit.losses.bag_of_words import bag_of_words
from reknit.losses.info_nce import info_nce
from reknit.losses.matching import matching
from reknit.objectives import (
    adversarial_ranking,
    causal_language_model,
    contrastive,
    elastic_autoencoder,
    explicit_ngrams,
    identifier_aware,
    masked_language_model,
    predictions,
    related_texts,
    retromae,
    sentence_blocks,
    unified_modes,
)
from reknit.objectives.base import Objective, StepOutput
from reknit.objectives.bigram_lexicon import BigramLexicon
from reknit.objectives.elastic_autoencoder import ElasticAutoencoder
from reknit.objectives.predictions import Matches, Predictions
from reknit.objectives.retromae import RetroMAE

Patch = pytest.MonkeyPatch


# What each check says when it fails for its own reason, and not because the planted bug broke something else.
REASONS: dict[Callable[..., None], str] = {
    checks.check_gradients_reach_encoder: "does not reach",
    checks.check_bottleneck: "does not reach the sentence vector|goes around",
    checks.check_packing_invariance: "with its neighbours",
    checks.check_padding_invariance: "with padding",
    checks.check_entropy_floor: "on noise; chance is",
    checks.check_no_peek: "of a hidden token moves|at a hidden vector moves|does not ask for the vector|"
    "other texts' vectors move|do not tell of it",
    checks.check_teacher_moves: "teacher does not move",
    checks.check_against_naive: "loops give",
    checks.check_positives: "true pairs lose",
    checks.check_loss_falls: "went from|step 0",
}


def fails(check: Callable[..., None], *arguments: object, **settings: object) -> None:
    with pytest.raises(AssertionError, match=REASONS[check]):
        check(*arguments, **settings)


# --- gradients -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["retromae", "dupmae"])
def test_detached_sentence_vector(name: str, monkeypatch: Patch) -> None:
    right = RetroMAE.sentence_vectors
    monkeypatch.setattr(RetroMAE, "sentence_vectors", lambda self, encoded: right(self, encoded).detach())
    encoder, objective = toy_pair(RECIPES[name])
    fails(checks.check_gradients_reach_encoder, objective, encoder, toy_batch(0))
    fails(checks.check_bottleneck, objective, encoder, toy_batch(0), "decoder")


def test_detached_sentence_vectors_of_sizes(monkeypatch: Patch) -> None:
    right = ElasticAutoencoder.sentence_vectors
    monkeypatch.setattr(ElasticAutoencoder, "sentence_vectors", lambda *arguments: right(*arguments).detach())
    encoder, objective = toy_pair(RECIPES["smae"])
    fails(checks.check_gradients_reach_encoder, objective, encoder, toy_batch(0))
    fails(checks.check_bottleneck, objective, encoder, toy_batch(0), "decoded_2x32")


def test_decoder_reads_every_hidden_state(monkeypatch: Patch) -> None:
    def leaky(self: RetroMAE, encoded: Encoded) -> Tensor:
        return contrastive.pool(encoded, "cls") + 0.1 * contrastive.pool(encoded, "mean")

    monkeypatch.setattr(RetroMAE, "sentence_vectors", leaky)
    encoder, objective = toy_pair(RECIPES["retromae"])
    fails(checks.check_bottleneck, objective, encoder, toy_batch(0), "decoder")


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


# --- packing -------------------------------------------------------------------------------------------------------


# In these, causal attention shuts padding out by itself, so nothing may move.
CAUSAL = ("clm", "meap", "mlm-vs-clm", "babylm-gptbert", "ftp", "gem", "llm-embedding-overview", "loss-reweighting")


@pytest.mark.parametrize("name", list(RECIPES))
def test_padding_is_attended(name: str, monkeypatch: Patch) -> None:
    right = AttentionLayout._make_mask

    def careless(self: AttentionLayout, bucket: object, rule: object, layer: int, *rows: Tensor) -> Tensor | None:
        return None if rule is bidirectional else right(self, bucket, rule, layer, *rows)

    monkeypatch.setattr(AttentionLayout, "_make_mask", careless)
    encoder, objective = toy_pair(RECIPES[name], pooling="mean")
    if name in CAUSAL:
        checks.check_packing_invariance(objective, encoder, *neighbours(RECIPES[name]))
        checks.check_padding_invariance(objective, encoder, neighbours(RECIPES[name])[1])
    else:
        fails(checks.check_packing_invariance, objective, encoder, *neighbours(RECIPES[name]))
        fails(checks.check_padding_invariance, objective, encoder, neighbours(RECIPES[name])[1])


@pytest.mark.parametrize("name", [name for name in RECIPES if name not in CAUSAL])
def test_sequences_see_each_other(name: str, monkeypatch: Patch) -> None:
    right = AttentionLayout.of.__func__

    def one_long_sequence(cls: type, cu_seqlens: Tensor, hidden: Tensor | None = None, **rest: Tensor) -> object:
        return right(cls, cu_seqlens[[0, -1]], hidden)

    monkeypatch.setattr(AttentionLayout, "of", classmethod(one_long_sequence))
    encoder, objective = toy_pair(RECIPES[name])
    fails(checks.check_packing_invariance, objective, encoder, *neighbours(RECIPES[name]))


# --- the entropy floor and the no-peek probe -----------------------------------------------------------------------


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
    floors = entropy_floors(RECIPES[name], 0)
    fails(checks.check_entropy_floor, objective, encoder, noise, floors, learning_rate=1e-2)


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
    floors = entropy_floors(RECIPES["smae"], 0)
    fails(checks.check_entropy_floor, objective, encoder, noise, floors, learning_rate=1e-2)


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
    fails(checks.check_no_peek, objective, encoder, fit_for(recipe, toy_batch(3, SEVERAL)))
    encoder, objective = toy_pair(recipe)
    fresh, floors = lambda step: batch_for(recipe, step + 100), entropy_floors(recipe, 0)
    fails(checks.check_entropy_floor, objective, encoder, fresh, floors, learning_rate=1e-2)


def test_identifiers_are_shown(monkeypatch: Patch) -> None:
    def visible(batch: Batch, rng: torch.Generator, **settings: object) -> object:
        view, once = mask_identifiers(batch, rng, **settings)
        return replace(view, tokens=batch.tokens), once

    # A toy decoder does not learn to copy in so few steps that the entropy floor would notice.
    monkeypatch.setattr(identifier_aware, "mask_identifiers", visible)
    recipe = VARIANTS["codet5, identifiers alone"]
    encoder, objective = toy_pair(recipe)
    fails(checks.check_no_peek, objective, encoder, fit_for(recipe, toy_batch(3, SEVERAL)))


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
    fails(checks.check_entropy_floor, objective, encoder, noise, {"causal": chance(ORDINARY_IDS)})


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
    encoder, objective = toy_pair(VARIANTS["unixcoder, denoised alone"])
    fails(checks.check_no_peek, objective, encoder, toy_batch(3, SEVERAL))


def test_the_damaged_part_sees_what_is_written(monkeypatch: Patch) -> None:
    monkeypatch.setattr(
        PrefixThenCausal,
        "__call__",
        lambda self, context: ~self.behind[context.query_index] | (context.key <= context.query),
    )
    encoder, objective = toy_pair(VARIANTS["unixcoder, denoised alone"])
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
    encoder, objective = toy_pair(VARIANTS["unixcoder, contrastive alone"])
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
    recipe = VARIANTS["ernie-gram, second part"]
    recipe = replace(recipe, objective=replace(recipe.objective, comprehensive=comprehensive))
    encoder, objective = toy_pair(recipe)
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
    floors = entropy_floors(RECIPES[name], pairs=16)
    fails(
        checks.check_entropy_floor,
        objective,
        encoder,
        lambda step: toy_pairs(step + 100, pairs=16),
        floors,
        learning_rate=1e-3,
    )


# --- the teacher ---------------------------------------------------------------------------------------------------


class ToyTeacher(Objective):
    """A student that follows a moving average of itself; `moving` off is the bug."""

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
    checks.check_teacher_moves(ToyTeacher(encoder, moving=True), encoder, toy_batch(0))
    fails(checks.check_teacher_moves, ToyTeacher(encoder, moving=False), encoder, toy_batch(0))


# --- losses held against loops -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["simcse", "mirror-bert", "infonce-pairs"])
def test_wrong_labels_of_pairs(name: str, monkeypatch: Patch) -> None:
    def shifted(queries: Tensor, passages: Tensor, *rest: object, **settings: object) -> tuple[Tensor, Tensor]:
        return info_nce(queries, passages.roll(1, dims=0), *rest, **settings)

    monkeypatch.setattr(contrastive, "info_nce", shifted)
    encoder, objective = toy_pair(RECIPES[name])
    fails(checks.check_positives, objective, toy_pairs(4, pairs=6))
    fails(checks.check_against_naive, objective, encoder, toy_pairs(4, pairs=6))


@pytest.mark.parametrize("setting", ["groups", "symmetric", "same_side", "temperature"])
def test_dropped_setting_of_pairs(setting: str, monkeypatch: Patch) -> None:
    wrong = {"groups": None, "symmetric": False, "same_side": False, "temperature": 1.0}[setting]

    def careless(queries: Tensor, passages: Tensor, groups: Tensor, **settings: object) -> tuple[Tensor, Tensor]:
        if setting == "groups":
            return info_nce(queries, passages, wrong, **settings)
        return info_nce(queries, passages, groups, **{**settings, setting: wrong})

    monkeypatch.setattr(contrastive, "info_nce", careless)
    encoder, objective = toy_pair(RECIPES["mirror-bert"])
    batch = replace(toy_pairs(4, pairs=6), groups=torch.tensor([0, 1, 1, 2, 3, 1]))
    fails(checks.check_against_naive, objective, encoder, batch)


def test_group_mask_missing_in_one_direction(monkeypatch: Patch) -> None:
    def careless(queries: Tensor, passages: Tensor, groups: Tensor, **settings: object) -> tuple[Tensor, Tensor]:
        one_way = {**settings, "symmetric": False}
        there, accuracy = info_nce(queries, passages, groups, **one_way)
        return (there + info_nce(passages, queries, None, **one_way)[0]) / 2, accuracy

    monkeypatch.setattr(contrastive, "info_nce", careless)
    encoder, objective = toy_pair(RECIPES["infonce-pairs"])
    batch = replace(toy_pairs(4, pairs=6), groups=torch.tensor([0, 1, 1, 2, 3, 1]))
    fails(checks.check_against_naive, objective, encoder, batch)


@pytest.mark.parametrize("wrong", [1, -1])
def test_wrong_numbers_of_bigrams(wrong: int, monkeypatch: Patch) -> None:
    right = BigramLexicon.numbers
    monkeypatch.setattr(
        BigramLexicon, "numbers", lambda self, batch: torch.where((found := right(self, batch)) >= 1, found + wrong, -1)
    )
    encoder, objective = toy_pair(VARIANTS["ernie-gram, second part"])
    fails(checks.check_against_naive, objective, encoder, toy_batch(4, SEVERAL))


@pytest.mark.parametrize("name", ["ar2", "ar2, second part"])
def test_wrong_lists_of_passages(name: str, monkeypatch: Patch) -> None:
    right = adversarial_ranking.hardest_lists
    batch = replace(toy_pairs(4, pairs=6), groups=torch.tensor([0, 1, 1, 2, 3, 1]))
    for wrong in (
        lambda similarities, groups, negatives: right(similarities, None, negatives),
        lambda similarities, groups, negatives: right(-similarities, groups, negatives),
        lambda similarities, groups, negatives: right(similarities.t(), groups, negatives),
    ):
        monkeypatch.setattr(adversarial_ranking, "hardest_lists", wrong)
        encoder, objective = toy_pair(VARIANTS[name])
        fails(checks.check_against_naive, objective, encoder, batch)
    monkeypatch.setattr(
        adversarial_ranking, "hardest_lists", lambda *arguments: tuple(each.flip(1) for each in right(*arguments))
    )
    fails(checks.check_positives, objective, toy_pairs(4, pairs=6))


@pytest.mark.parametrize("mistake", ["order", "opening token"])
def test_wrongly_joined_pairs(mistake: str, monkeypatch: Patch) -> None:
    right = cross_encoder.joined

    def wrong(batch: Batch, first: Tensor, second: Tensor, limit: int | None) -> object:
        if mistake == "order":
            return right(batch, second, first, limit)
        return right(replace(batch, vocabulary=replace(batch.vocabulary, cls=-1)), first, second, limit)

    monkeypatch.setattr(cross_encoder, "joined", wrong)
    encoder, objective = toy_pair(RECIPES["ar2"])
    fails(checks.check_against_naive, objective, encoder, toy_pairs(4, pairs=6))


@pytest.mark.parametrize("mistake", ["same document is another", "no hard ones", "own is a negative", "too many"])
def test_wrong_lists_of_texts(mistake: str, monkeypatch: Patch) -> None:
    right = related_texts.drawn_lists

    def wrong(batch: Batch, negatives: int, hard: int, seed: int) -> tuple[Tensor, Tensor]:
        if mistake == "same document is another":
            return right(replace(batch, groups=None), negatives, hard, seed)
        listed, present = right(batch, negatives, 0 if mistake == "no hard ones" else hard, seed)
        if mistake == "own is a negative":
            listed[:, 1] = listed[:, 0]
        return listed, torch.ones_like(present) if mistake == "too many" else present

    monkeypatch.setattr(related_texts, "drawn_lists", wrong)
    encoder, objective = toy_pair(RECIPES["ssp"])
    batch = replace(toy_pairs(4, pairs=6), groups=torch.tensor([0, 1, 1, 2, 3, 1]))
    fails(checks.check_against_naive, objective, encoder, batch)


def test_texts_that_are_shown_what_is_asked(monkeypatch: Patch) -> None:
    right = related_texts.joined_rows

    def wrong(batch: Batch, first: Tensor, second: Tensor, limit: int | None) -> tuple[Tensor, Tensor]:
        return right(batch, first, first, limit)  # a text beside itself, of which other tokens are hidden

    monkeypatch.setattr(related_texts, "joined_rows", wrong)
    encoder, objective = toy_pair(RECIPES["ssp"])
    fails(checks.check_no_peek, objective, encoder, replace(toy_batch(3, SEVERAL), sequences_per_example=2))


def test_wrong_labels_of_blocks(monkeypatch: Patch) -> None:
    monkeypatch.setattr(predictions, "matching", lambda states, targets: matching(states, targets.roll(1, dims=0)))
    encoder, objective = toy_pair(RECIPES["smith"])
    fails(checks.check_against_naive, objective, encoder, toy_batch(4, SEVERAL))


@pytest.mark.parametrize("mistake", ["the first span is none", "a span is its first token"])
def test_wrong_labels_of_tags(mistake: str, monkeypatch: Patch) -> None:
    def wrong(batch: Batch) -> Tensor:
        spans = tags_of(batch)
        inside = spans > 0 if mistake == "the first span is none" else span_starts(spans, batch.cu_seqlens)
        return inside.long() - 1

    monkeypatch.setattr(identifier_aware, "tags_of", wrong)
    recipe = VARIANTS["codet5, tagging alone"]
    encoder, objective = toy_pair(recipe)
    fails(checks.check_against_naive, objective, encoder, fit_for(recipe, toy_batch(4, SEVERAL)))


@pytest.mark.parametrize("mistake", ["last columns", "cut output", "first size's vector", "clean text", "one place on"])
def test_wrong_sizes(mistake: str, monkeypatch: Patch) -> None:
    """Each is right for the full model, or for the masked predictions."""

    def last_columns(self: SlicedLanguageModelHead, states: Tensor) -> Tensor:
        read = functional.linear(states, self.dense.weight[:, -states.shape[1] :], self.dense.bias)
        return self.norm(functional.gelu(read))

    def cut_output(self: SlicedLanguageModelHead, states: Tensor) -> Tensor:
        whole = right(self, states)
        return whole * (torch.arange(whole.shape[1]) < states.shape[1])

    def mistaken(self: MaskedDecoder, sentences: Tensor, tokens: Tensor, cu_seqlens: Tensor, table: Tensor) -> Tensor:
        if mistake == "first size's vector":
            first.append(sentences)
            return decode(self, first[0], tokens, cu_seqlens, table)
        if mistake == "clean text":
            return decode(self, sentences, batch.tokens, cu_seqlens, table)
        return decode(self, sentences, tokens, cu_seqlens, table).roll(1, dims=0)

    right, decode, first, batch = SlicedLanguageModelHead.forward, MaskedDecoder.forward, [], toy_batch(4, SEVERAL)
    if mistake in ("last columns", "cut output"):
        wrong = last_columns if mistake == "last columns" else cut_output
        monkeypatch.setattr(SlicedLanguageModelHead, "forward", wrong)
    else:
        monkeypatch.setattr(MaskedDecoder, "forward", mistaken)
    encoder, objective = toy_pair(RECIPES["smae"])
    fails(checks.check_against_naive, objective, encoder, batch)


def test_bag_of_words_with_special_tokens(monkeypatch: Patch) -> None:
    def everything(batch: Batch, wanted: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return torch.arange(batch.num_tokens), batch.cu_seqlens, batch.tokens

    monkeypatch.setattr(retromae, "ordinary_content", everything)
    encoder, objective = toy_pair(RECIPES["dupmae"])
    fails(checks.check_against_naive, objective, encoder, toy_batch(4, SEVERAL))


def test_bag_of_words_across_sequences(monkeypatch: Patch) -> None:
    def one_long_text(states: Tensor, table: Tensor, bias: Tensor, cu_seqlens: Tensor, words: Tensor) -> Tensor:
        return bag_of_words(states, table, bias, cu_seqlens[[0, -1]], words)

    monkeypatch.setattr(retromae, "bag_of_words", one_long_text)
    encoder, objective = toy_pair(RECIPES["dupmae"])
    fails(checks.check_against_naive, objective, encoder, toy_batch(4, SEVERAL))


def test_bag_of_words_without_weight(monkeypatch: Patch) -> None:
    monkeypatch.setattr(retromae, "bag_of_words", lambda *arguments: 10.0 * bag_of_words(*arguments))
    encoder, objective = toy_pair(RECIPES["dupmae"])
    fails(checks.check_against_naive, objective, encoder, toy_batch(4, SEVERAL))


# --- training and goldens ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("planted", [lambda loss: loss * 0.0 + 3.0, lambda loss: loss / 0.0])
def test_loss_that_does_not_train(planted: Callable[[Tensor], Tensor]) -> None:
    encoder, objective = toy_pair(RECIPES["mlm"])
    right = objective.forward

    def wrong(*arguments: object) -> StepOutput:
        return StepOutput({name: planted(loss) for name, loss in right(*arguments).losses.items()})

    objective.forward = wrong
    fails(checks.check_loss_falls, objective, encoder, toy_batch(9))


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("mlm", {"ratio": 0.3}),
        ("mlm", {"keep_share": 0.1}),
        ("retromae", {"decoder_ratio": 0.6}),
        ("dupmae", {"bag_of_words_weight": 0.11}),
        ("simcse", {"temperature": 0.051}),
        ("mirror-bert", {"same_side": False}),
        ("ar2", {"negatives": 2}),
        ("ernie-gram", {"ratio": 0.3}),
        ("smith", {"masked_blocks": 0.4}),
        ("lem", {"one_of_span": False}),
        ("codet5", {"identifier_share": 0.6}),
        ("codet5", {"mean_span": 2.0}),
        ("smae", {"decoder_ratio": 0.5}),
        ("smae", {"sizes": ("1x8",)}),
    ],
)
def test_changed_setting_breaks_the_golden_losses(name: str, change: dict[str, object]) -> None:
    recipe = replace(RECIPES[name], objective=replace(RECIPES[name].objective, **change))
    assert current_first_losses(recipe) != pytest.approx(json.loads(GOLDEN.read_text())[name], abs=1e-4)
