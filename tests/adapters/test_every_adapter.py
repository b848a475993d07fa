"""Every kind of adapter passes the generic checks, and equals its naive twin."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path

import adapter_checks as checks
import pytest
import torch
from adapter_checks import BERT, MODERN, built, disturb, output, toy_encoder
from encoder_samples import ragged_view
from naive_adapters import naive_output

from reknit.adapters.base import AdapterSpec
from reknit.adapters.bias import BiasSpec
from reknit.adapters.bottleneck import BottleneckSpec, ParallelSpec
from reknit.adapters.encoder import AdaptedEncoder, attach
from reknit.adapters.files import KINDS
from reknit.adapters.low_rank import LoRASpec
from reknit.adapters.mixed import MixAndMatchSpec
from reknit.adapters.prefix import PrefixSpec
from reknit.adapters.prompt import PromptSpec
from reknit.adapters.scale import ScaleSpec
from reknit.adapters.shared_bottleneck import SharedBottleneckSpec
from reknit.data.attention_rules import Window, causal
from reknit.data.batch import Signal, positions_of
from reknit.encoders.huggingface.automodel import AutoModelEncoder
from reknit.errors import ReknitError

SPECS = [kind() for kind in KINDS] + [
    LoRASpec(rank=3, alpha=1.0, targets=("query", "key", "value", "attention_output", "up", "down")),
    SharedBottleneckSpec(width=5, kept=0.3),
]
NAMES = [f"{spec.kind}-{number}" if number >= len(KINDS) else spec.kind for number, spec in enumerate(SPECS)]
every = pytest.mark.parametrize("spec", SPECS, ids=NAMES)
both = pytest.mark.parametrize("config", [BERT, MODERN], ids=["bert", "modernbert"])


@every
@both
def test_no_effect_at_start(spec: AdapterSpec, config) -> None:
    checks.check_no_effect_at_start(spec, config)


@every
@both
def test_every_weight_counts(spec: AdapterSpec, config) -> None:
    checks.check_every_weight_counts(spec, config)


@every
@both
def test_detaching_is_exact(spec: AdapterSpec, config) -> None:
    checks.check_detach_is_exact(spec, config)


@every
@both
def test_merging_equals(spec: AdapterSpec, config) -> None:
    checks.check_merge_equals(spec, config)


@every
@both
def test_only_its_own_weights_move(spec: AdapterSpec, config) -> None:
    checks.check_only_its_own_weights_move(spec, config)


@every
@both
def test_files(spec: AdapterSpec, config, tmp_path: Path) -> None:
    checks.check_files(spec, config, tmp_path)


@every
def test_counts(spec: AdapterSpec) -> None:
    checks.check_count(spec, BERT)


@every
def test_copies_are_apart(spec: AdapterSpec) -> None:
    checks.check_copies_are_apart(spec, BERT)


@every
def test_the_naive_twin(spec: AdapterSpec) -> None:
    encoder = toy_encoder()
    adapter = built(spec, encoder)
    disturb(adapter)
    wanted = naive_output(encoder, adapter, ragged_view())
    found = AdaptedEncoder(encoder, adapter)(ragged_view()).last
    torch.testing.assert_close(found, wanted, atol=1e-4, rtol=1e-4)


@every
@both
def test_threads_are_apart(spec: AdapterSpec, config) -> None:
    checks.check_threads_are_apart(spec, config)


@every
def test_bfloat16_is_near(spec: AdapterSpec) -> None:
    adapted = AdaptedEncoder(encoder := toy_encoder(), built(spec, encoder))
    disturb(adapted.adapter)
    with torch.autocast("cpu", torch.bfloat16):
        rounded = output(adapted).float()
    assert torch.nn.functional.cosine_similarity(rounded, output(adapted), dim=1).min() > 0.99


@every
def test_an_adapted_encoder_can_be_pickled(spec: AdapterSpec) -> None:
    adapted = AdaptedEncoder(encoder := toy_encoder(), built(spec, encoder))
    assert torch.equal(output(pickle.loads(pickle.dumps(adapted))), output(adapted))


def test_every_kind_has_a_name_of_its_own() -> None:
    assert len({kind.kind for kind in KINDS}) == len(KINDS) == 9
    assert all((kind.role, kind.verb) == ("adapter", "tune") for kind in KINDS)


def test_a_prompt_takes_positions_and_leaves_the_kept_ones() -> None:
    encoder = toy_encoder()
    wanted_embedding = encoder.embed(torch.arange(9), torch.arange(9))
    adapted = attach(encoder, PromptSpec(length=8))
    assert adapted.max_positions == BERT.max_positions - 8
    assert torch.equal(adapted.embed(torch.arange(9), torch.arange(9)), wanted_embedding)
    adapted(ragged_view((BERT.max_positions - 8,)))
    with pytest.raises(ReknitError, match="longer than"):
        adapted(ragged_view((BERT.max_positions - 7,)))
    kept, view = torch.tensor([0, 3, 5, 7]), ragged_view((5, 3))
    found = adapted(replace(view, kept=kept), layers=[0, 2])
    assert found.cu_seqlens.tolist() == [0, 2, 4]
    assert found.positions.tolist() == [0, 3, 0, 2]
    assert torch.equal(found.states[0], encoder.embed(view.tokens, positions_of(view.cu_seqlens) + 8)[kept])


def test_a_prompt_refuses_what_knows_the_positions_of_the_axis() -> None:
    adapted = attach(toy_encoder(), PromptSpec())
    adapted(ragged_view(rule=causal))
    place = torch.zeros(1, dtype=torch.int64)
    signal = Signal(place, torch.zeros(1, 4), place[:, None], "patch")
    with pytest.raises(ReknitError, match="not before pictures or sounds"):
        adapted(replace(ragged_view(), signal=signal))
    with pytest.raises(ReknitError, match="this recipe restricts attention"):
        adapted(ragged_view(rule=Window(3)))


def test_one_adapter_at_a_time_and_only_where_there_are_places() -> None:
    adapted = attach(toy_encoder(), LoRASpec())
    with pytest.raises(ReknitError, match="has an adapter already"):
        attach(adapted, LoRASpec())
    with pytest.raises(ReknitError, match="runs through transformers"):
        attach(AutoModelEncoder.__new__(AutoModelEncoder), LoRASpec())
    bare = toy_encoder(replace(MODERN, norm_bias=False))
    with pytest.raises(ReknitError, match="no biases to train"):
        attach(bare, BiasSpec())
    with pytest.raises(ReknitError, match="128 positions and leaves none"):
        attach(toy_encoder(), PromptSpec(length=128))
    with pytest.raises(ReknitError, match="above the encoder's 128 positions"):
        attach(toy_encoder(), PrefixSpec(length=129))
    other = toy_encoder()
    del other.blocks[1].down
    with pytest.raises(ReknitError, match="block 1 of this encoder has no linear layer down"):
        attach(other, ParallelSpec())
    mixed = toy_encoder()
    mixed.blocks[0].query_key_value = torch.nn.Linear(32, 4 * 32)
    for spec in (LoRASpec(), PrefixSpec(), ScaleSpec()):
        with pytest.raises(ReknitError, match="block 0 of this encoder has no queries, keys and values"):
            attach(mixed, spec)
    assert attach(mixed, LoRASpec(targets=("up",))).trained_fraction > 0


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (lambda: LoRASpec(rank=0), "lora: rank is 0: it must be above 0"),
        (lambda: LoRASpec(alpha=float("nan")), "lora: alpha is nan: it must be above 0"),
        (lambda: LoRASpec(targets=()), "name one or more"),
        (lambda: LoRASpec(targets=("query", "query")), "each once"),
        (lambda: BottleneckSpec(width=-1), "bottleneck: width is -1"),
        (lambda: ParallelSpec(width=0), "parallel: width is 0"),
        (lambda: ParallelSpec(scale=0.0), "parallel: scale is 0.0"),
        (lambda: PromptSpec(length=0), "prompt: length is 0"),
        (lambda: PrefixSpec(length=0), "prefix: length is 0"),
        (lambda: MixAndMatchSpec(prefix=PrefixSpec(length=0)), "prefix: length is 0"),
        (lambda: SharedBottleneckSpec(kept=0.0), "propetl: kept is 0.0"),
        (lambda: SharedBottleneckSpec(kept=1.1), "propetl: kept is 1.1: it must be at most 1"),
        (lambda: SharedBottleneckSpec(width=0), "propetl: width is 0"),
    ],
)
def test_settings_that_cannot_be(spec, message: str) -> None:
    with pytest.raises(ReknitError, match=message):
        spec()
