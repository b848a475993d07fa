"""SMAE: the full size alone is what it is made of, and every other size is what the cut model has."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from small_model import write_small_model
from toy_models import TOY_VOCABULARY, amplify, generator, toy_batch, toy_encoder

from reknit.corruptions.masking import mask_tokens_twice
from reknit.data.batch import Batch, View
from reknit.encoders.base import Encoded, Encoder
from reknit.errors import ReknitError
from reknit.export.sentence_transformers import save
from reknit.losses.cross_entropy import cross_entropy
from reknit.models.loading import load_embedding_model
from reknit.objectives.draws import draw_seed
from reknit.objectives.elastic_autoencoder import ElasticAutoencoder, ElasticAutoencoderSpec
from reknit.objectives.masked_language_model import MaskedLanguageModelSpec


def build(*sizes: str, pooling: str = "cls", **settings: object) -> tuple[Encoder, ElasticAutoencoder]:
    encoder = toy_encoder()
    objective = ElasticAutoencoderSpec(sizes=sizes, **settings).build(encoder, TOY_VOCABULARY, pooling)
    amplify(encoder, objective, factor=2.0)
    return encoder.eval(), objective.eval()


def views(batch: Batch) -> tuple[View, View]:
    """Those of a step with generator(0)."""
    rng = generator(0)
    draw_seed(rng)
    return mask_tokens_twice(batch, rng, ratios=(0.2, 0.4), whole_words=True)


def test_sizes_end_with_the_full_model() -> None:
    assert build()[1].sizes == [(1, 16), (2, 32)]
    assert build("1x8", "2x32", "1x8", "2x8")[1].sizes == [(1, 8), (2, 8), (2, 32)]
    assert build("1x8")[1].partial == {"masked_1x8", "decoded_1x8"}
    assert not build("2x8")[1].partial


@pytest.mark.parametrize("settings", [{"decoded_share": 0.0}, {"decoded_share": 1.1}, {"sizes": ("2",)}])
def test_settings_out_of_range(settings: dict) -> None:
    with pytest.raises(ReknitError, match=r"decoded_share is|write layers and dimensions"):
        ElasticAutoencoderSpec(**settings)


def test_what_does_not_fit_the_encoder() -> None:
    for settings, message in (
        ({"sizes": ("3x8",)}, "size 3x8 is not within the encoder's 2 layers and 32"),
        ({"decoder_heads": 5}, "do not divide"),
    ):
        with pytest.raises(ReknitError, match=message):
            ElasticAutoencoderSpec(**settings).build(toy_encoder(), TOY_VOCABULARY, "cls")


def test_the_full_size_alone_is_masked_language_modelling_and_a_decoder(monkeypatch: pytest.MonkeyPatch) -> None:
    (encoder, objective), batch = build("2x32"), toy_batch(3)
    losses = objective(encoder, batch, generator(0)).losses
    assert list(losses) == ["masked_2x32", "decoded_2x32"]

    shown, sparse = views(batch)
    monkeypatch.setattr(MaskedLanguageModelSpec, "corrupt", lambda *_: shown)
    plain = MaskedLanguageModelSpec().build(encoder, TOY_VOCABULARY, "cls").eval()
    plain.head.load_state_dict(objective.head.state_dict())
    masked = plain(encoder, batch, generator(0)).total
    torch.testing.assert_close(losses["masked_2x32"], masked / 2)

    vectors = plain.head(encoder(shown).last[batch.cu_seqlens[:-1]])
    states = objective.decoder(vectors, sparse.tokens, batch.cu_seqlens, encoder.table)[sparse.predict]
    decoded, _ = cross_entropy(
        plain.head(states), encoder.table, objective.head.bias, batch.tokens[sparse.predict.nonzero().squeeze(1)]
    )
    torch.testing.assert_close(losses["decoded_2x32"], decoded / 2)


def test_sizes_are_averaged_and_know_nothing_of_each_other() -> None:
    (encoder, alone), (_, both), batch = build("2x32"), build("1x8"), toy_batch(3)
    both.load_state_dict(alone.state_dict())
    one, two = (each(encoder, batch, generator(0)).losses for each in (alone, both))
    assert list(two) == ["masked_1x8", "decoded_1x8", "masked_2x32", "decoded_2x32"]
    for name, loss in one.items():
        torch.testing.assert_close(two[name], loss / 2)


@pytest.mark.parametrize(("layers", "dims"), [(1, 8), (1, 32), (2, 8)])
def test_the_exported_model_cut_to_a_size_makes_the_same_predictions(layers: int, dims: int, tmp_path: Path) -> None:
    model = load_embedding_model(write_small_model(tmp_path / "whole"))
    cut = load_embedding_model(save(model, tmp_path / "cut", layers=layers, dims=dims))
    assert cut.encoder.depth == layers
    batch = model.tokenizer.pack(["A dog sleeps on the mat.", "Why do cats purr when they eat?", "Rain"], 32)
    size = f"{layers}x{dims}"
    objective = ElasticAutoencoderSpec(sizes=(size,)).build(model.encoder, model.tokenizer.vocabulary, "cls").eval()
    with torch.no_grad():
        made = objective.predictions(model.encoder.eval(), batch, generator(0))[f"masked_{size}"]
        shown, _ = views(batch)
        found = objective.head(cut.encoder.eval()(shown).last[made.positions, :dims])
    assert torch.equal(made.positions, shown.predict.nonzero().squeeze(1))
    torch.testing.assert_close(made.states, found)


def test_a_cut_state_is_read_as_if_the_rest_of_it_were_nothing() -> None:
    head, states = build()[1].head, torch.randn(5, 32, generator=generator(1))
    kept = torch.arange(32) < 8
    torch.testing.assert_close(head(states[:, :8]), head(states * kept))


@pytest.mark.parametrize("size", [(1, 8), (2, 16), (2, 32)])
def test_the_decoder_learns_through_the_cut_sentence_vector_alone(size: tuple[int, int]) -> None:
    (encoder, objective), batch = build("1x8", "2x16"), toy_batch(0)
    seen: list[Encoded] = []

    def keep(module: Encoder, arguments: tuple[View, ...], encoded: Encoded) -> None:
        seen.append(encoded)
        for states in encoded.states.values():
            states.retain_grad()

    encoder.register_forward_hook(keep)
    layers, dims = size
    objective(encoder, batch, generator(0)).losses[f"decoded_{layers}x{dims}"].backward()
    assert len(seen) == 1, "all sizes read one pass of the encoder"
    gradient = seen[0].states[layers].grad
    starts = batch.cu_seqlens[:-1]
    assert (gradient[starts][:, :dims] != 0).any(dim=1).all()
    gradient[starts, :dims] = 0.0
    assert not gradient.any()


def test_unseen_is_what_neither_sees_and_some_of_the_decoders_gaps_the_encoder_does() -> None:
    (encoder, objective), batch = build(), toy_batch(3)
    shown, sparse = views(batch)
    made = objective.predictions(encoder, batch, generator(0))
    for name in ("decoded_1x16", "decoded_2x32"):
        places = made[name].positions
        assert torch.equal(places, sparse.predict.nonzero().squeeze(1))
        assert torch.equal(made[name].unseen, (shown.masked & sparse.masked)[places])
        assert made[name].unseen.any()
        assert not made[name].unseen.all()


def test_decoded_share_takes_a_part_of_the_gaps_afresh_each_step() -> None:
    (encoder, part), batch = build(decoded_share=0.25), toy_batch(5, (40,) * 20)
    torch.manual_seed(0)
    whole = ElasticAutoencoderSpec().build(encoder, TOY_VOCABULARY, "cls").eval()
    whole.load_state_dict(part.state_dict())
    with torch.no_grad():
        every = whole.predictions(encoder, batch, generator(0))["decoded_1x16"].positions
        counts, chosen = [], set()
        for seed in range(20):
            gaps = whole.predictions(encoder, batch, generator(seed))["decoded_1x16"].positions
            taken = part.predictions(encoder, batch, generator(seed))["decoded_1x16"].positions
            assert torch.isin(taken, gaps).all()
            counts.append(taken.numel() / gaps.numel())
            chosen |= set(taken.tolist())
    assert sum(counts) / len(counts) == pytest.approx(0.25, abs=0.03)
    assert len(chosen) > every.numel()


def test_a_likelihood_wants_a_model_that_has_seen_masks() -> None:
    encoder, objective = build()
    assert (objective.log_likelihood(encoder, toy_batch(0)).logs < 0).all()
    encoder, objective = build(random_share=1.0, keep_share=0.0)
    assert objective.log_likelihood(encoder, toy_batch(0)) is None


def test_a_text_longer_than_the_decoders_positions() -> None:
    encoder, objective = build(max_positions=8)
    with pytest.raises(ReknitError, match="decoder's 8 positions"):
        objective(encoder, toy_batch(0), generator(0))
