"""The packed encoder: packing, early exit, rules, kept positions, dropout."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch
from encoder_samples import VOCABULARY, one_by_one, ragged_view, shake
from torch import Tensor

from reknit.data.attention_rules import AttentionContext, causal
from reknit.data.batch import View
from reknit.encoders.huggingface.loading import HuggingFaceEncoder
from reknit.encoders.native.encoder import NativeConfig, NativeEncoder
from reknit.encoders.spec import TextEncoderSpec
from reknit.errors import ReknitError

SHAPES = {
    family: TextEncoderSpec(family=family, dim=32, depth=4, heads=4, intermediate=48, max_positions=128, dropout=0.1)
    for family in ("bert", "modernbert")
}


@pytest.fixture(params=list(SHAPES))
def encoder(request: pytest.FixtureRequest) -> HuggingFaceEncoder:
    torch.manual_seed(0)
    built = SHAPES[request.param].build(VOCABULARY)
    shake(built)
    return built


def clean(tokens: Tensor, rule=causal) -> View:
    nothing = torch.zeros(tokens.shape, dtype=torch.bool)
    return View(tokens, torch.tensor([0, tokens.numel()]), tokens, nothing, nothing, rule)


@pytest.mark.parametrize("rule", ["bidirectional", "causal"])
def test_packed_equals_one_at_a_time(encoder: NativeEncoder, rule: str) -> None:
    view = ragged_view() if rule == "bidirectional" else ragged_view(rule=causal)
    with torch.no_grad():
        together = encoder(view).last
        for start, stop, tokens in one_by_one(view):
            alone = encoder(clean(tokens, view.attention)).last
            torch.testing.assert_close(together[start:stop], alone, atol=1e-5, rtol=1e-4)


def test_gradients_packed_equal_one_at_a_time(encoder: NativeEncoder) -> None:
    view = ragged_view((5, 40, 17))
    weights = torch.randn(62, 32, generator=torch.Generator().manual_seed(1))
    (encoder(view).last * weights).sum().backward()
    together = {name: parameter.grad.clone() for name, parameter in encoder.named_parameters()}
    encoder.zero_grad()
    for start, stop, tokens in one_by_one(view):
        (encoder(clean(tokens, view.attention)).last * weights[start:stop]).sum().backward()
    for name, parameter in encoder.named_parameters():
        torch.testing.assert_close(together[name], parameter.grad, atol=2e-4, rtol=1e-3, msg=name)


def test_training_step_twice_gives_the_same_bits(encoder: NativeEncoder) -> None:
    gradients = []
    for _ in range(2):
        twin = copy.deepcopy(encoder).train()
        torch.manual_seed(5)
        twin(ragged_view()).last.square().mean().backward()
        gradients.append({name: parameter.grad for name, parameter in twin.named_parameters()})
    assert all(torch.equal(gradients[0][name], gradients[1][name]) for name in gradients[0])


def test_dropout_in_training_mode_only(encoder: NativeEncoder) -> None:
    view = ragged_view()
    assert torch.equal(encoder(view).last, encoder(view).last)
    encoder.train()
    assert not torch.equal(encoder(view).last, encoder(view).last)
    encoder.set_dropout(0.0)
    assert torch.equal(encoder(view).last, encoder(view).last)


def test_layers_asked_for_and_none_above_are_computed(encoder: NativeEncoder) -> None:
    view = ragged_view()
    run: list[int] = []
    for number, block in enumerate(encoder.blocks):
        block.register_forward_hook(lambda *_, number=number: run.append(number))
    everything = encoder(view, layers=range(5))
    assert list(everything.states) == [0, 1, 2, 3, 4]
    assert everything.depth == 4
    torch.testing.assert_close(everything.last, encoder(view).last)
    torch.testing.assert_close(everything.states[0], encoder.embed(view.tokens, everything.positions))
    run.clear()
    early = encoder(view, layers=[2])
    assert run == [0, 1]
    torch.testing.assert_close(early.last, everything.states[2])
    for wrong in ([5], [-1], []):
        with pytest.raises(ReknitError, match="in an encoder with layers 0 to 4"):
            encoder(view, layers=wrong)


def test_causal_never_looks_ahead(encoder: NativeEncoder) -> None:
    view = ragged_view((12, 9), rule=causal)
    changed = view.tokens.clone()
    changed[7] = (changed[7] + 1) % VOCABULARY
    with torch.no_grad():
        before, after = encoder(view).last, encoder(replace(view, tokens=changed)).last
        assert torch.equal(before[:7], after[:7])
        assert torch.equal(before[12:], after[12:])
        assert not torch.equal(before[7:12], after[7:12])
        both_ways = encoder(replace(view, attention=ragged_view().attention))
        assert not torch.allclose(both_ways.last[:7], before[:7])


def test_kept_positions_are_all_that_enter(encoder: NativeEncoder) -> None:
    """Dropping a token changes nothing for the others but its absence: compare with a rule that hides it as a key."""
    view = ragged_view((6, 5, 8))
    kept = torch.tensor([0, 2, 3, 6, 7, 8, 9, 10, 12, 15, 18])
    present = torch.zeros(19, dtype=torch.bool)
    present[kept] = True

    def only_present(context: AttentionContext) -> Tensor:
        return present[context.key_index] | (context.key < 0)

    with torch.no_grad():
        dropped = encoder(replace(view, kept=kept), layers=[0, 4])
        # position 0 of the last sequence is dropped, so that its rows are compared too
        masked = encoder(replace(view, attention=only_present))
    assert dropped.cu_seqlens.tolist() == [0, 3, 8, 11]
    assert dropped.positions.tolist() == [0, 2, 3, 0, 1, 2, 3, 4, 1, 4, 7]
    torch.testing.assert_close(dropped.last, masked.last[kept], atol=1e-5, rtol=1e-4)


def test_rules_see_hidden_tokens_and_layers(encoder: NativeEncoder) -> None:
    hidden = torch.zeros(14, dtype=torch.bool)
    hidden[3] = True
    layers = []

    def no_hidden_keys(context: AttentionContext) -> Tensor:
        layers.append(context.layer)
        return ~context.key_masked

    view = replace(ragged_view((8, 6)), masked=hidden, attention=no_hidden_keys)
    changed = view.tokens.clone()
    changed[3] = (changed[3] + 1) % VOCABULARY
    with torch.no_grad():
        before, after = encoder(view).last, encoder(replace(view, tokens=changed)).last
    assert set(layers) == {0, 1, 2, 3}
    others = torch.arange(14) != 3
    assert torch.equal(before[others], after[others])
    assert not torch.equal(before[3], after[3])


def test_local_layers_see_only_their_window() -> None:
    config = NativeConfig(
        **{"vocabulary": 50, "dim": 16, "depth": 1, "heads": 2, "intermediate": 16, "max_positions": 64},
        windows=(4,),
        rope_thetas=(1e4,),
        pre_norm=True,
        token_types=0,
    )
    encoder = shake(NativeEncoder(config))
    view = ragged_view((40,))
    changed = view.tokens.clone() % 50
    view = replace(view, tokens=changed.clone())
    changed[20] = (changed[20] + 1) % 50
    with torch.no_grad():
        moved = (encoder(view).last - encoder(replace(view, tokens=changed)).last).abs().sum(1) > 0
    assert moved.nonzero().flatten().tolist() == list(range(16, 25))


def test_rotary_positions_are_relative() -> None:
    """The same words later in a text attend to each other alike: nothing but distance enters."""
    torch.manual_seed(0)
    encoder = shake(SHAPES["modernbert"].build(VOCABULARY))
    tokens = torch.randint(5, VOCABULARY, (10,))
    rule = encoder._rotations
    with torch.no_grad():
        here = encoder(clean(tokens)).last
        encoder._rotations = lambda positions: rule(positions + 37)
        there = encoder(clean(tokens)).last
    torch.testing.assert_close(here, there, atol=1e-4, rtol=1e-3)


def test_bfloat16_autocast_stays_near(encoder: NativeEncoder) -> None:
    view = ragged_view()
    with torch.no_grad():
        exact = encoder(view).last
        with torch.autocast("cpu", torch.bfloat16):
            rounded = encoder(view).last
    cosine = torch.nn.functional.cosine_similarity(exact, rounded.float(), dim=1)
    # Single tokens, and weights far from a trained model's: attention scores themselves are rounded to 8 bits.
    assert cosine.min() > 0.998
    assert cosine.median() > 0.9995


def test_texts_longer_than_the_position_table_are_refused(encoder: NativeEncoder) -> None:
    with pytest.raises(ReknitError, match="129 tokens is longer than the model's 128 positions"):
        encoder(ragged_view((3, 129)))


def test_fresh_weights_follow_the_seed_and_the_published_spread() -> None:
    for family, spec in SHAPES.items():
        torch.manual_seed(3)
        first = spec.build(500)
        torch.manual_seed(3)
        second = spec.build(500)
        assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
        assert first.table.std().item() == pytest.approx(0.02, rel=0.05)
        into_stream = first.blocks[1].down.weight.std().item()
        # the spread of a normal cut at two deviations is 0.88 of the uncut one's
        expected = 0.02 * 0.88 / (8**0.5 if family == "modernbert" else 1)
        assert into_stream == pytest.approx(expected, rel=0.1)
        assert first.table.requires_grad


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"heads": 3}, "width 32 is not a multiple"),
        ({"family": "gpt"}, "family 'gpt'; use 'bert' or 'modernbert'"),
        ({"family": "modernbert", "heads": 32}, "even head width"),
    ],
)
def test_impossible_shapes(change: dict[str, object], message: str) -> None:
    with pytest.raises(ReknitError, match=message):
        replace(SHAPES["bert"], **change).build(100)
    with pytest.raises(ReknitError, match="activation 'mish' is not supported"):
        NativeConfig(10, 8, 1, 2, 8, 8, activation="mish")
    with pytest.raises(ReknitError, match="windows must be given for each of the 2 layers"):
        NativeConfig(10, 8, 2, 2, 8, 8, windows=(1,))
