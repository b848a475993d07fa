"""Each generic check fails on the bug that it is for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import adapter_checks as checks
import pytest
import torch
from adapter_checks import BERT
from torch import Tensor, nn

from reknit.adapters import files
from reknit.adapters.base import Adapter
from reknit.adapters.bottleneck import ParallelAdapter, ParallelSpec
from reknit.adapters.encoder import AdaptedEncoder
from reknit.adapters.low_rank import LoRASpec, LowRankAdapter
from reknit.adapters.prompt import PromptAdapter, PromptSpec
from reknit.adapters.scale import ScaleAdapter, ScaleSpec
from reknit.adapters.shared_bottleneck import SharedBottleneckAdapter, SharedBottleneckSpec
from reknit.encoders.native.encoder import NativeEncoder


def planted(adapter: Callable[[NativeEncoder], Adapter]) -> LoRASpec:
    """A spec that builds an adapter with a bug."""

    @dataclass(frozen=True)
    class PlantedSpec(LoRASpec):
        kind: ClassVar[str] = "planted"

        def build(self, encoder: NativeEncoder) -> Adapter:
            return adapter(encoder)

    return PlantedSpec()


def low_rank(encoder: NativeEncoder) -> LowRankAdapter:
    return LowRankAdapter(LoRASpec(), encoder)


def fails(check: Callable, spec: LoRASpec, complaint: str, *more: object) -> None:
    with pytest.raises(AssertionError, match=complaint):
        check(spec, BERT, *more)


def test_an_adapter_that_begins_with_noise() -> None:
    def noisy(encoder: NativeEncoder) -> Adapter:
        adapter = low_rank(encoder)
        nn.init.normal_(adapter.updates["query"][0].second)
        return adapter

    fails(checks.check_no_effect_at_start, planted(noisy), "a new adapter changes the output by")


def test_an_adapter_that_excuses_itself_for_nothing() -> None:
    class Excused(LowRankAdapter):
        changes_at_start = "so it says"

    spec = planted(lambda encoder: Excused(LoRASpec(), encoder))
    fails(checks.check_no_effect_at_start, spec, "and does not")


def test_a_weight_without_a_part_in_it() -> None:
    def idle(encoder: NativeEncoder) -> Adapter:
        adapter = low_rank(encoder)
        adapter.idle = nn.Parameter(torch.zeros(3))
        return adapter

    fails(checks.check_every_weight_counts, planted(idle), "idle has no gradient")
    fails(checks.check_only_its_own_weights_move, planted(idle), "weights of the adapter stay: .*idle")


def test_a_mask_without_a_gradient() -> None:
    class Detached(SharedBottleneckAdapter):
        def _mask(self, scores: Tensor) -> Tensor:
            return super()._mask(scores).detach() + 0.0 * scores

    spec = planted(lambda encoder: Detached(SharedBottleneckSpec(), encoder))
    fails(checks.check_every_weight_counts, spec, "scores has no part in the output")


def test_an_adapter_that_is_not_attached() -> None:
    class Loose(LowRankAdapter):
        def attach(self, encoder: NativeEncoder) -> list:
            return []

    fails(checks.check_every_weight_counts, planted(lambda e: Loose(LoRASpec(), e)), "changes nothing")


def test_a_hook_that_stays() -> None:
    class Sticky(LowRankAdapter):
        def attach(self, encoder: NativeEncoder) -> list:
            return super().attach(encoder)[1:]

    fails(checks.check_detach_is_exact, planted(lambda e: Sticky(LoRASpec(), e)), "still attached")


def test_weights_that_are_written_to() -> None:
    class Writing(LowRankAdapter):
        def attach(self, encoder: NativeEncoder) -> list:
            with torch.no_grad():
                encoder.blocks[0].down.bias[0].add_(1e-6)
            return super().attach(encoder)

    fails(checks.check_detach_is_exact, planted(lambda e: Writing(LoRASpec(), e)), "weights have changed")


def test_weights_that_are_renamed() -> None:
    class Wrapping(LowRankAdapter):
        def attach(self, encoder: NativeEncoder) -> list:
            encoder.blocks[0].down = nn.Sequential(encoder.blocks[0].down)
            return []

    fails(checks.check_detach_is_exact, planted(lambda e: Wrapping(LoRASpec(), e)), "names of the encoder's weights")


def test_weights_that_stay_frozen(monkeypatch: pytest.MonkeyPatch) -> None:
    def forgetful(self: AdaptedEncoder) -> NativeEncoder:
        for handle in self._handles:
            handle.remove()
        return self.base

    monkeypatch.setattr(AdaptedEncoder, "detach", forgetful)
    fails(checks.check_detach_is_exact, LoRASpec(), "stay frozen")
    fails(checks.check_merge_equals, LoRASpec(), "cannot be trained")


def test_a_merge_without_its_scale() -> None:
    class Unscaled(LowRankAdapter):
        def merge_into(self, encoder: NativeEncoder) -> None:
            for linear, update in self._pairs(encoder):
                update.scale = 1.0
                with torch.no_grad():
                    update.add_to(linear)

    fails(checks.check_merge_equals, planted(lambda e: Unscaled(LoRASpec(), e)), "merged, layer 1 differs")


def test_a_merge_that_forgets_the_bias() -> None:
    class Biased(ScaleAdapter):
        def merge_into(self, encoder: NativeEncoder) -> None:
            biases = [block.query_key_value.bias.clone() for block in encoder.blocks]
            super().merge_into(encoder)
            with torch.no_grad():
                for block, bias in zip(encoder.blocks, biases, strict=True):
                    block.query_key_value.bias.copy_(bias)

    fails(checks.check_merge_equals, planted(Biased), "merged, layer 1 differs")


def test_a_merge_into_the_original(monkeypatch: pytest.MonkeyPatch) -> None:
    def in_place(self: AdaptedEncoder) -> NativeEncoder:
        base = self.detach()
        self.adapter.merge_into(base)
        return base

    monkeypatch.setattr(AdaptedEncoder, "merged", in_place)
    fails(checks.check_merge_equals, LoRASpec(), "merging changed the original|differs")


def test_an_adapter_that_merges_though_it_says_it_cannot() -> None:
    class Modest(LowRankAdapter):
        cannot_merge = "so it says"

    fails(checks.check_merge_equals, planted(lambda e: Modest(LoRASpec(), e)), "and merges")


def test_a_weight_of_the_encoder_that_moves() -> None:
    class Greedy(LowRankAdapter):
        def attach(self, encoder: NativeEncoder) -> list:
            encoder.blocks[1].down.bias.requires_grad_(True)
            return super().attach(encoder)

    spec = planted(lambda e: Greedy(LoRASpec(), e))
    fails(checks.check_only_its_own_weights_move, spec, r"weights of the encoder move: \['base.blocks.1.down.bias'\]")
    with pytest.raises(AssertionError):
        checks.check_count(spec, BERT)


def kinds_with(monkeypatch: pytest.MonkeyPatch, spec: LoRASpec) -> LoRASpec:
    monkeypatch.setattr(files, "KINDS", (type(spec),))
    return spec


def test_a_file_without_everything(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    class Lossy(ScaleAdapter):
        def tensors(self) -> dict[str, Tensor]:
            return {name: value.round(decimals=1) for name, value in super().tensors().items()}

    spec = kinds_with(monkeypatch, planted(Lossy))
    fails(checks.check_files, spec, "the loaded adapter is another", tmp_path)


def test_masks_that_are_loaded_upside_down(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    class Inverted(SharedBottleneckAdapter):
        def load_tensors(self, tensors: dict[str, Tensor]) -> None:
            flipped = {name: 255 - value if "masks" in name else value for name, value in tensors.items()}
            super().load_tensors(flipped)

    spec = kinds_with(monkeypatch, planted(lambda e: Inverted(SharedBottleneckSpec(), e)))
    fails(checks.check_files, spec, "the loaded adapter is another", tmp_path)


def test_a_file_with_the_encoder_in_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    class Holding(LowRankAdapter):
        def __init__(self, spec: LoRASpec, encoder: NativeEncoder) -> None:
            super().__init__(spec, encoder)
            self.register_buffer("held", encoder.table.detach().repeat(8, 1))

    spec = kinds_with(monkeypatch, planted(lambda e: Holding(LoRASpec(), e)))
    fails(checks.check_files, spec, "what was not trained", tmp_path)


def test_a_count_of_some_of_the_weights() -> None:
    class Boasting(LowRankAdapter):
        @property
        def trained_weights(self) -> int:
            return super().trained_weights // 2

    with pytest.raises(AssertionError):
        checks.check_count(planted(lambda e: Boasting(LoRASpec(), e)), BERT)


def test_hooks_that_a_copy_shares() -> None:
    class Closing(LowRankAdapter):
        def attach(self, encoder: NativeEncoder) -> list:
            return [
                linear.register_forward_hook(lambda *given, update=update: update.hook(*given))
                for linear, update in self._pairs(encoder)
            ]

    fails(checks.check_copies_are_apart, planted(lambda e: Closing(LoRASpec(), e)), "have no part in it")


class OnePlace:
    """A handover that all threads share."""

    def __init__(self) -> None:
        self.value: Tensor | None = None

    def leave(self, value: Tensor) -> None:
        self.value = value

    def take(self) -> Tensor | None:
        return self.value


def test_what_threads_share() -> None:
    def parallel(encoder: NativeEncoder) -> Adapter:
        adapter = ParallelAdapter(ParallelSpec(), encoder)
        for one in adapter.beside:
            one._input = OnePlace()
        return adapter

    def prompt(encoder: NativeEncoder) -> Adapter:
        adapter = PromptAdapter(PromptSpec(), encoder)
        adapter._is_prompt = OnePlace()
        return adapter

    for adapter in (parallel, prompt):
        with pytest.raises((AssertionError, RuntimeError)):
            checks.check_threads_are_apart(planted(adapter), BERT)


def test_scales_on_the_wrong_side() -> None:
    class Shifted(ScaleAdapter):
        def merge_into(self, encoder: NativeEncoder) -> None:
            for layer in self.layers:
                key, value = layer.key_value.detach().chunk(2)
                layer.key_value = nn.Parameter(torch.cat((value, key)))
            super().merge_into(encoder)

    fails(checks.check_merge_equals, planted(Shifted), "merged, layer 1 differs")


def test_the_checks_pass_without_a_bug(tmp_path: Path) -> None:
    assert ScaleSpec().kind == "ia3"
    for check in (checks.check_no_effect_at_start, checks.check_merge_equals, checks.check_threads_are_apart):
        check(planted(low_rank), BERT)
