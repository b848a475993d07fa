"""What is particular to single objectives; what all share is in tests/recipes."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from toy_models import TOY_VOCABULARY, generator, toy_batch, toy_encoder, toy_pairs

from reknit.encoders.huggingface.automodel import AutoModelEncoder
from reknit.encoders.spec import TextEncoderSpec
from reknit.errors import ReknitError
from reknit.objectives.base import Objective
from reknit.objectives.causal_language_model import CausalLanguageModelSpec
from reknit.objectives.contrastive import ContrastiveSpec
from reknit.objectives.elastic_autoencoder import ElasticAutoencoderSpec
from reknit.objectives.masked_language_model import MaskedLanguageModelSpec
from reknit.objectives.retromae import RetroMAESpec

SPECS = [
    MaskedLanguageModelSpec(),
    CausalLanguageModelSpec(),
    RetroMAESpec(bag_of_words_weight=0.1),
    ContrastiveSpec(projection=True),
    ElasticAutoencoderSpec(),
]


def build(spec: object, pooling: str = "cls") -> tuple[torch.nn.Module, Objective]:
    encoder = toy_encoder()
    return encoder, spec.build(encoder, TOY_VOCABULARY, pooling)


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: type(spec).__name__)
def test_runs_on_a_rotary_pre_norm_encoder(spec: object) -> None:
    torch.manual_seed(0)
    shape = TextEncoderSpec(family="modernbert", dim=32, depth=2, heads=2, intermediate=48, dropout=0.1)
    encoder = shape.build(TOY_VOCABULARY.size)
    objective = spec.build(encoder, TOY_VOCABULARY, "mean")
    output = objective(encoder, toy_pairs(0), generator(0))
    output.total.backward()
    assert torch.isfinite(output.total)
    assert encoder.table.grad.isfinite().all()


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: type(spec).__name__)
def test_texts_without_words(spec: object) -> None:
    """Empty texts are [CLS] [SEP]; a batch of nothing else gives finite losses and gradients."""
    encoder, objective = build(spec)
    lengths = (2, 2, 2, 2)
    output = objective(encoder, replace(toy_batch(0, lengths), sequences_per_example=2), generator(0))
    output.total.backward()
    assert torch.isfinite(output.total)
    assert encoder.table.grad is None or encoder.table.grad.isfinite().all()


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: type(spec).__name__)
def test_bfloat16_autocast_stays_close(spec: object) -> None:
    encoder, objective = build(spec)
    encoder.eval(), objective.eval()
    exact = objective(encoder, toy_pairs(0), generator(0))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        lean = objective(encoder, toy_pairs(0), generator(0))
    lean.total.backward()
    for name, loss in exact.losses.items():
        torch.testing.assert_close(lean.losses[name].float(), loss, rtol=0.03, atol=0.03)
    assert encoder.table.grad.isfinite().all()


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: type(spec).__name__)
def test_the_generator_is_the_only_chance_without_dropout(spec: object) -> None:
    encoder, objective = build(spec)
    encoder.eval(), objective.eval()
    first, second = (objective(encoder, toy_pairs(0), generator(4)).losses for _ in range(2))
    assert {name: float(loss.detach()) for name, loss in first.items()} == {
        name: float(loss.detach()) for name, loss in second.items()
    }


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: type(spec).__name__)
def test_a_padded_table_has_more_rows_than_the_tokenizer_tokens(spec: object) -> None:
    torch.manual_seed(0)
    encoder = TextEncoderSpec(dim=32, depth=2, heads=2, intermediate=64).build(TOY_VOCABULARY.size + 11)
    output = spec.build(encoder, TOY_VOCABULARY, "cls")(encoder, toy_pairs(0), generator(0))
    output.total.backward()
    assert torch.isfinite(output.total)


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: type(spec).__name__)
def test_a_factorised_table_is_refused_where_it_would_be_tied(spec: object) -> None:
    from transformers import AlbertConfig, AlbertModel

    shape = {"embedding_size": 16, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = AlbertConfig(vocab_size=TOY_VOCABULARY.size, intermediate_size=48, **shape)
    encoder = AutoModelEncoder(AlbertModel(config), config.to_dict())
    if isinstance(spec, ContrastiveSpec):
        loss = spec.build(encoder, TOY_VOCABULARY, "cls")(encoder, toy_pairs(0), generator(0)).total
        assert torch.isfinite(loss)
    else:
        with pytest.raises(ReknitError, match=r"16 wide and its hidden states 32 .*simcse, mirror-bert or infonce"):
            spec.build(encoder, TOY_VOCABULARY, "cls")


def test_accuracy_is_that_of_the_largest_logit() -> None:
    encoder, objective = build(MaskedLanguageModelSpec(ratio=0.5))
    encoder.eval(), objective.eval()
    batch = toy_batch(0)
    masked = objective.predictions(encoder, batch, generator(1))["masked"]
    logits = masked.states @ encoder.table.t() + objective.head.bias
    expected = float((logits.argmax(dim=1) == masked.targets).float().mean())
    assert objective(encoder, batch, generator(1)).metrics["masked_accuracy"] == pytest.approx(expected)


def test_dupmae_is_retromae_and_a_bag_of_words() -> None:
    encoder, dupmae = build(RetroMAESpec(bag_of_words_weight=0.1))
    retromae = RetroMAESpec().build(encoder, TOY_VOCABULARY, "cls")
    retromae.load_state_dict(dupmae.state_dict())
    for module in (encoder, dupmae, retromae):
        module.eval()
    both, one = (objective(encoder, toy_batch(0), generator(2)) for objective in (dupmae, retromae))
    assert set(both.losses) - set(one.losses) == {"bag_of_words"}
    assert all(float(both.losses[name].detach()) == float(one.losses[name].detach()) for name in one.losses)


def test_retromae_decodes_every_ordinary_token_by_default() -> None:
    encoder, objective = build(RetroMAESpec())
    batch = toy_batch(0)
    decoded = objective.predictions(encoder, batch, generator(0))["decoder"]
    assert decoded.positions.tolist() == (~batch.special).nonzero().flatten().tolist()
    assert torch.equal(decoded.targets, batch.tokens[~batch.special])


def test_decoded_share_is_an_unbiased_sample() -> None:
    encoder, whole = build(RetroMAESpec())
    part = RetroMAESpec(decoded_share=0.25).build(encoder, TOY_VOCABULARY, "cls")
    part.load_state_dict(whole.state_dict())
    for module in (encoder, whole, part):
        module.eval()
    batch = toy_batch(0, (40,) * 30)
    everything = whole.predictions(encoder, batch, generator(0))["decoder"]
    drawn = part.predictions(encoder, batch, generator(0))["decoder"]
    share = len(drawn.positions) / len(everything.positions)
    assert abs(share - 0.25) < 0.04
    places = torch.searchsorted(everything.positions, drawn.positions)
    torch.testing.assert_close(drawn.states, everything.states[places])
    other = part.predictions(encoder, batch, generator(1))["decoder"]
    assert drawn.positions.tolist() != other.positions.tolist()


def test_retromae_of_a_long_sequence_names_the_setting() -> None:
    encoder, objective = build(RetroMAESpec(max_positions=16))
    with pytest.raises(ReknitError, match=r"objective\.max_positions"):
        objective(encoder, toy_batch(0), generator(0))


@pytest.mark.parametrize(
    "settings",
    [
        {"decoder_ratio": 1.2},
        {"decoded_share": 0.0},
        {"decoded_share": 1.1},
        {"decoded_share": float("nan")},
        {"bag_of_words_share": 0.0},
        {"bag_of_words_share": 1.5},
        {"bag_of_words_weight": -0.1},
    ],
)
def test_bad_retromae_settings(settings: dict[str, float]) -> None:
    with pytest.raises(ReknitError, match=next(iter(settings))):
        RetroMAESpec(**settings)


def test_bad_temperature() -> None:
    with pytest.raises(ReknitError, match="temperature"):
        ContrastiveSpec(temperature=0.0)


def test_contrastive_needs_pairs() -> None:
    encoder, objective = build(ContrastiveSpec())
    with pytest.raises(ReknitError, match="need pairs"):
        objective(encoder, toy_batch(0), generator(0))


def test_twins_differ_by_dropout_only_while_training() -> None:
    encoder, objective = build(ContrastiveSpec(projection=True))
    twins = toy_pairs(0, twins=True)
    encoder.train(), objective.train()
    vectors = objective.embed(encoder, twins, generator(0))
    assert (vectors[0::2] - vectors[1::2]).abs().max() > 1e-3
    encoder.eval()
    vectors = objective.embed(encoder, twins, generator(0))
    assert (vectors[0::2] - vectors[1::2]).abs().max() < 1e-5
