"""The chunked form is the recurrence, however long the text and however strong the decay."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from naive_mixers import naive_recurrence
from torch import Tensor

from reknit.encoders.mixers import gated_linear
from reknit.encoders.mixers.gated_linear import GatedLinear, chunked_recurrence
from reknit.encoders.mixers.named import named_mixer
from reknit.encoders.native.encoder import NativeConfig, NativeEncoder
from reknit.errors import ReknitError

Recurrence = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]
STRENGTHS = {"none": 0.0, "weak": 0.01, "as drawn": 0.05, "strong": 6.0, "total": 400.0}


def parts(length: int, strength: float, seed: int = 0) -> list[Tensor]:
    """Query, key, value and log decay of two heads; about half of the rows decay, by `strength`."""
    generator = torch.Generator().manual_seed(seed)
    query, key = (torch.randn(2, length, 4, generator=generator) for _ in range(2))
    value = torch.randn(2, length, 6, generator=generator)
    draws = torch.rand(2, length, 4, generator=generator)
    decay = torch.where(draws < 0.5, -strength * draws, 0.0) if 0 < strength < 100 else -strength * draws
    return [part.requires_grad_() for part in (query, key, value, decay)]


def check_is_the_recurrence(form: Recurrence, length: int, strength: float) -> None:
    mine, theirs = parts(length, strength), parts(length, strength)
    found = form(*mine)
    expected = torch.stack([naive_recurrence(q, k, v, d.exp()) for q, k, v, d in zip(*theirs, strict=True)])
    assert found.isfinite().all(), "the values are not finite"
    difference = float((found - expected).abs().max().detach())
    assert difference <= 1e-4, f"{difference:.2g} from the recurrence"
    weights = torch.randn(expected.shape, generator=torch.Generator().manual_seed(1))
    gradients = torch.autograd.grad((found * weights).sum(), mine)
    for name, own, wanted in zip(
        ("query", "key", "value", "decay"),
        gradients,
        torch.autograd.grad((expected * weights).sum(), theirs),
        strict=True,
    ):
        assert own.isfinite().all(), f"the gradient of the {name} is not finite"
        difference = float((own - wanted).abs().max())
        assert difference <= 1e-3, f"the gradient of the {name} is {difference:.2g} off"


@pytest.mark.parametrize("strength", STRENGTHS)
@pytest.mark.parametrize("length", [1, 2, 63, 64, 65, 150])
def test_chunks_are_the_recurrence(length: int, strength: str) -> None:
    check_is_the_recurrence(chunked_recurrence, length, STRENGTHS[strength])


@settings(max_examples=15, deadline=None)
@given(length=st.integers(1, 140), strength=st.floats(0.0, 30.0), chunk=st.sampled_from([1, 2, 8, 64]))
def test_any_chunk_gives_the_same(length: int, strength: float, chunk: int) -> None:
    given_parts = parts(length, strength)
    whole = chunked_recurrence(*given_parts)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gated_linear, "_CHUNK", chunk)
        torch.testing.assert_close(chunked_recurrence(*given_parts), whole, atol=1e-4, rtol=1e-4)


def test_decays() -> None:
    """RetNet's are 1 - 2^-5, 1 - 2^-6 ...; a fresh gate keeps the 16th root of a half; without decay all is kept."""
    low = torch.zeros(3, 16)
    gated = NativeEncoder(NativeConfig(9, 16, 1, 2, 16, 8, mixer="gla")).blocks[0].mixer
    assert gated._log_decay(low).exp().flatten().tolist() == [pytest.approx(0.5 ** (1 / 16))] * 24
    fixed = GatedLinear(16, 2, decay="fixed")._log_decay(low).exp()
    assert fixed.flatten().tolist() == pytest.approx(([1 - 1 / 32] * 4 + [1 - 1 / 64] * 4) * 3)
    assert GatedLinear(16, 2, decay="none")._log_decay(low).tolist() == [[0.0] * 8] * 3


def test_weights_are_about_those_of_attention() -> None:
    sizes = {}
    for name in ("attention", "gla", "retention", "linear"):
        mixer = named_mixer(name, 64, 4)
        sizes[name] = 64 * (mixer.projected + mixer.mixed) + sum(p.numel() for p in mixer.parameters())
    assert sizes["attention"] == 4 * 64**2
    for name in ("gla", "retention", "linear"):
        assert abs(sizes[name] / sizes["attention"] - 1) < 0.1


def test_a_shape_that_does_not_fit() -> None:
    with pytest.raises(ReknitError, match="a multiple of twice the heads: 12 and 4"):
        GatedLinear(12, 4)


# Planted bugs of the chunked form.


def forgets_between_chunks(query: Tensor, key: Tensor, value: Tensor, decay: Tensor) -> Tensor:
    pieces = (part.split(64, dim=1) for part in (query, key, value, decay))
    return torch.cat([chunked_recurrence(*piece) for piece in zip(*pieces, strict=True)], dim=1)


def decays_itself(query: Tensor, key: Tensor, value: Tensor, decay: Tensor) -> Tensor:
    """A row's own decay on what the row itself adds."""
    return chunked_recurrence(query, key * decay.exp(), value, decay)


def decays_late(query: Tensor, key: Tensor, value: Tensor, decay: Tensor) -> Tensor:
    return chunked_recurrence(query, key, value, decay.roll(1, dims=1))


def in_two_factors(query: Tensor, key: Tensor, value: Tensor, decay: Tensor) -> Tensor:
    """The parallel form as it is first written: one factor of it overflows."""
    since = decay.cumsum(dim=1)
    scores = (query * since.exp()) @ (key * (-since).exp()).transpose(1, 2)
    return scores.tril() @ value


@pytest.mark.parametrize(
    ("bug", "strength", "message"),
    [
        (forgets_between_chunks, "as drawn", "from the recurrence"),
        (decays_itself, "as drawn", "from the recurrence"),
        (decays_late, "as drawn", "from the recurrence"),
        (in_two_factors, "strong", "from the recurrence|not finite"),
        (in_two_factors, "total", "not finite"),
    ],
)
def test_a_bug_is_caught(bug: Recurrence, strength: str, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        check_is_the_recurrence(bug, 150, STRENGTHS[strength])
