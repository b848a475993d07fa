"""Every mixer passes every check; a new one needs its loops in `NAIVE`, and gets the rest for nothing."""

from __future__ import annotations

from typing import get_args

import mixer_checks as checks
import pytest
import torch
from encoder_samples import ragged_view, shake
from naive_mixers import naive_attention, naive_gated_linear

from reknit.data.attention_rules import (
    BehindBottleneck,
    Both,
    CausalWhere,
    PrefixThenCausal,
    VisibleKeys,
    Window,
    causal,
)
from reknit.encoders.mixers.base import Mixer
from reknit.encoders.mixers.named import MixerName, named_mixer
from reknit.encoders.native.encoder import NativeConfig, NativeEncoder
from reknit.errors import ReknitError

NAIVE = {"attention": naive_attention} | dict.fromkeys(("gla", "retention", "linear"), naive_gated_linear)
EVERY_OTHER = torch.arange(12) % 2 == 0
RULES = {
    "window": Window(3),
    "causal window": Both(causal, Window(3)),
    "causal where": CausalWhere(EVERY_OTHER | True),
    "visible keys": VisibleKeys(EVERY_OTHER),
    "bottleneck": Both(causal, BehindBottleneck((torch.arange(12) - 5).sign())),
    "prefix": PrefixThenCausal(torch.arange(12) > 6),
}


@pytest.fixture(params=get_args(MixerName))
def mixer(request: pytest.FixtureRequest) -> Mixer:
    torch.manual_seed(0)
    return shake(named_mixer(request.param, dim=16, heads=2))


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    return request.node.callspec.params["mixer"]


@pytest.mark.parametrize("scale", [1.0, 6.0])
def test_against_naive(mixer: Mixer, name: str, scale: float) -> None:
    checks.check_against_naive(mixer, NAIVE[name], scale)


def test_packing(mixer: Mixer) -> None:
    checks.check_packing(mixer)


def test_padding(mixer: Mixer) -> None:
    checks.check_padding(mixer)


def test_no_peeking_when_causal(mixer: Mixer) -> None:
    checks.check_no_peeking(mixer)


def test_both_ways(mixer: Mixer) -> None:
    checks.check_looks_both_ways(mixer)


@pytest.mark.parametrize("rule", RULES.values(), ids=list(RULES))
def test_rules_are_honoured_or_refused(mixer: Mixer, rule) -> None:
    checks.check_honours_or_refuses(mixer, rule)


def test_dropout(mixer: Mixer) -> None:
    checks.check_dropout_in_training_only(mixer)


def test_nothing_and_little(mixer: Mixer) -> None:
    checks.check_nothing_and_little(mixer)


def test_in_an_encoder(mixer: Mixer, name: str) -> None:
    """The blocks run it, early exits and packing included."""
    config = NativeConfig(99, 16, 2, 2, 32, 128, mixer=name)
    encoder = shake(NativeEncoder(config))
    view = ragged_view()
    with torch.no_grad():
        both = encoder(view, layers=[1, 2]).states
        torch.testing.assert_close(encoder(view, layers=[1]).last, both[1])
        alone = encoder(ragged_view((1,)))
        torch.testing.assert_close(both[2][:1], alone.last, atol=1e-5, rtol=1e-4)
    assert {type(block.mixer) for block in encoder.blocks} == {type(mixer)}


def test_an_unknown_name() -> None:
    with pytest.raises(ReknitError, match="there is no mixer 'wind'; use one of attention"):
        named_mixer("wind", dim=16, heads=2)
