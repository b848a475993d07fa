"""Planted mistakes in losses: loops, true pairs, golden losses and training find them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import recipe_checks as checks
import torch
from cases import CASES, RECIPES
from golden import current_first_losses, golden_losses
from planted import REASONS, fails
from torch import Tensor
from torch.nn import functional
from toy_models import SEVERAL, grouped_for, texts_for, toy_batch, toy_pair, toy_pairs

from reknit.corruptions.span_token_masking import tags_of
from reknit.data.batch import Batch, span_starts
from reknit.decoders import cross_encoder
from reknit.decoders.language_model_head import SlicedLanguageModelHead
from reknit.decoders.masked_decoder import MaskedDecoder
from reknit.losses.bag_of_words import bag_of_words
from reknit.losses.info_nce import info_nce
from reknit.losses.matching import matching
from reknit.objectives import (
    adversarial_ranking,
    contrastive,
    generation_augmented,
    identifier_aware,
    predictions,
    related_texts,
    retromae,
)
from reknit.objectives.base import StepOutput
from reknit.objectives.bigram_lexicon import BigramLexicon

Patch = pytest.MonkeyPatch


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
    batch = grouped_for(RECIPES["infonce-pairs"], 4)
    fails(checks.check_against_naive, objective, encoder, batch)


def test_group_mask_missing_in_one_direction(monkeypatch: Patch) -> None:
    def careless(queries: Tensor, passages: Tensor, groups: Tensor, **settings: object) -> tuple[Tensor, Tensor]:
        one_way = {**settings, "symmetric": False}
        there, accuracy = info_nce(queries, passages, groups, **one_way)
        return (there + info_nce(passages, queries, None, **one_way)[0]) / 2, accuracy

    monkeypatch.setattr(contrastive, "info_nce", careless)
    encoder, objective = toy_pair(RECIPES["infonce-pairs"])
    batch = grouped_for(RECIPES["infonce-pairs"], 4)
    fails(checks.check_against_naive, objective, encoder, batch)


@pytest.mark.parametrize("wrong", [1, -1])
def test_wrong_numbers_of_bigrams(wrong: int, monkeypatch: Patch) -> None:
    right = BigramLexicon.numbers
    monkeypatch.setattr(
        BigramLexicon, "numbers", lambda self, batch: torch.where((found := right(self, batch)) >= 1, found + wrong, -1)
    )
    encoder, objective = CASES["ernie-gram, last part"].pair()
    fails(checks.check_against_naive, objective, encoder, toy_batch(4, SEVERAL))


@pytest.mark.parametrize("name", ["ar2", "ar2, last part"])
def test_wrong_lists_of_passages(name: str, monkeypatch: Patch) -> None:
    right = adversarial_ranking.hardest_lists
    batch = grouped_for(RECIPES["infonce-pairs"], 4)
    for wrong in (
        lambda similarities, groups, negatives: right(similarities, None, negatives),
        lambda similarities, groups, negatives: right(-similarities, groups, negatives),
        lambda similarities, groups, negatives: right(similarities.t(), groups, negatives),
    ):
        monkeypatch.setattr(adversarial_ranking, "hardest_lists", wrong)
        encoder, objective = CASES[name].pair()
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
    batch = grouped_for(RECIPES["infonce-pairs"], 4)
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
    case = CASES["codet5, tagging alone"]
    encoder, objective = case.pair()
    fails(checks.check_against_naive, objective, encoder, texts_for(case.recipe, 4))


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


class ToyVectors(contrastive.Contrastive):
    """An objective on vectors in a file of its own, whose loops nobody has written."""


def test_objective_without_a_twin() -> None:
    encoder, _ = toy_pair(RECIPES["simcse"])
    objective = ToyVectors(RECIPES["simcse"].objective, encoder.dim, "cls")
    fails(checks.check_against_naive, objective, encoder, toy_pairs(4, pairs=6))


@pytest.mark.parametrize("mistake", ["other lists", "no score of its own"])
def test_wrong_lists_of_written_passages(mistake: str, monkeypatch: Patch) -> None:
    right = generation_augmented.hardest_lists

    def wrong(*arguments: object) -> tuple[Tensor, Tensor]:
        listed, present = right(*arguments)
        return (listed.roll(1, dims=0) if mistake == "other lists" else listed.flip(1)), present

    monkeypatch.setattr(generation_augmented, "hardest_lists", wrong)
    encoder, objective = toy_pair(RECIPES["ullme"])
    fails(checks.check_against_naive, objective, encoder, grouped_for(RECIPES["ullme"], 4))


# --- training and goldens --------------------------------------------------------------------------------------------


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
    assert current_first_losses(recipe) != pytest.approx(golden_losses(name), abs=1e-4)


def test_each_check_has_planted_bugs() -> None:
    """`fails` knows what each of them says; the files beside this one plant the bugs."""
    assert {check.__name__ for check in REASONS} == {name for name in checks.__all__ if name.startswith("check_")}
    planted = "".join(file.read_text() for file in Path(__file__).parent.glob("test_planted_*.py"))
    assert all(f"fails(checks.{check.__name__}, " in planted for check in REASONS)
