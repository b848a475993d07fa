"""Every stem passes every check, and the encoder keeps its word about rows that a stem has joined."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
import stem_checks as checks
import torch
from encoder_samples import one_by_one, shake
from naive_stems import PATCH, naive_patches, naive_tokens, naive_words
from stem_checks import DIM, MASK, WordMeans, rows_view
from torch import Tensor

from reknit.data.attention_rules import AttentionContext, bidirectional
from reknit.data.batch import Signal, View
from reknit.encoders.native.encoder import NativeConfig, NativeEncoder
from reknit.encoders.pooling import pool
from reknit.encoders.stems.base import Stem
from reknit.encoders.stems.patches import PatchStem
from reknit.encoders.stems.tokens import TokenStem
from reknit.errors import ReknitError


@dataclass(frozen=True)
class Sample:
    stem: Stem
    naive: checks.NaiveStem
    width: int = 0
    joins: bool = False


SAMPLES = {
    "tokens": Sample(TokenStem(), naive_tokens),
    "patches": Sample(shake(PatchStem(PATCH, DIM)), naive_patches, width=PATCH),
    "words": Sample(shake(WordMeans()), naive_words, joins=True),
}


@pytest.fixture(params=SAMPLES)
def sample(request: pytest.FixtureRequest) -> Sample:
    return SAMPLES[request.param]


def test_owner_covers(sample: Sample) -> None:
    checks.check_owner_covers(sample.stem, rows_view(width=sample.width))
    rows = sample.stem(rows_view(width=sample.width), checks.table())
    assert (len(rows.vectors) < sum(checks.LENGTHS)) == sample.joins


def test_against_naive(sample: Sample) -> None:
    checks.check_against_naive(sample.stem, sample.naive, rows_view(width=sample.width))


def test_packing(sample: Sample) -> None:
    checks.check_packing(sample.stem, rows_view(width=sample.width))


def test_content(sample: Sample) -> None:
    checks.check_content(sample.stem, rows_view(width=sample.width))


def test_gradients(sample: Sample) -> None:
    checks.check_gradients(sample.stem, rows_view(width=sample.width))


def test_round_trip(sample: Sample) -> None:
    if not sample.joins:
        checks.check_round_trip(sample.stem, rows_view(width=sample.width))


def test_rows_that_a_stem_cannot_read_are_refused() -> None:
    with pytest.raises(ReknitError, match="reads only tokens, and the batch has rows of kind 'patch'"):
        TokenStem()(rows_view(width=PATCH), checks.table())
    with pytest.raises(ReknitError, match="patches of 9 numbers, and the batch has rows of kind 'patch' with 4"):
        PatchStem(PATCH, DIM)(rows_view(width=4), checks.table())
    view = rows_view(width=PATCH)
    sound = replace(view, signal=replace(view.signal, kind="frame"))
    with pytest.raises(ReknitError, match="rows of kind 'frame'"):
        PatchStem(PATCH, DIM)(sound, checks.table())


def encoder_with(stem: Stem, **changes: object) -> NativeEncoder:
    shape = {"vocabulary": checks.VOCABULARY, "dim": DIM, "depth": 2, "heads": 2, "intermediate": 24}
    torch.manual_seed(0)
    encoder = shake(NativeEncoder(NativeConfig(**{**shape, "max_positions": 32, **changes})))
    encoder.stem = stem
    return encoder.eval()


def test_patches_among_tokens_in_an_encoder() -> None:
    """Rows of both kinds meet in attention; packed, they are what they are alone; masked patches are not seen."""
    encoder = encoder_with(shake(PatchStem(PATCH, DIM)))
    view = rows_view(width=PATCH)
    assert view.signal is not None
    with torch.no_grad():
        together = encoder(view)
        alone = encoder(checks.first_sequence(view))
        torch.testing.assert_close(together.last[: view.cu_seqlens[1]], alone.last, atol=1e-5, rtol=1e-4)
        assert together.owner is None
        hidden = view.masked[view.signal.at]
        for kind in (True, False):
            values = torch.where((hidden == kind)[:, None], view.signal.values + 1.0, view.signal.values)
            other = encoder(replace(view, signal=replace(view.signal, values=values))).last
            assert torch.equal(other, together.last) == kind


def test_a_config_of_patches_builds_the_stem() -> None:
    encoder = NativeEncoder(NativeConfig(checks.VOCABULARY, DIM, 1, 2, 24, 32, patch_values=PATCH))
    assert isinstance(encoder.stem, PatchStem)
    assert {name for name in encoder.state_dict() if "stem" in name} == {
        "stem.mask",
        "stem.projection.weight",
        "stem.projection.bias",
    }
    assert encoder.stem.mask.std().item() == pytest.approx(0.02, rel=0.6)


def test_joined_rows_in_an_encoder() -> None:
    """States are on the axis of the joined rows, pooling is over them, and rules know them by their first row."""
    encoder, view = encoder_with(WordMeans()), rows_view()
    looked_up: list[AttentionContext] = []

    def rule(context: AttentionContext) -> Tensor:
        looked_up.append(context)
        return bidirectional(context)

    with torch.no_grad():
        encoded = encoder(replace(view, attention=rule))
        assert encoded.owner is not None
        assert encoded.last.shape == (int(encoded.owner[-1]) + 1, DIM)
        assert len(encoded.last) < view.tokens.numel()
        for number, (start, stop, tokens) in enumerate(one_by_one(view)):
            nothing = torch.zeros(stop - start, dtype=torch.bool)
            one = encoder(View(tokens, torch.tensor([0, stop - start]), tokens, nothing, view.masked[start:stop]))
            found = encoded.last[encoded.cu_seqlens[number] : encoded.cu_seqlens[number + 1]]
            torch.testing.assert_close(found, one.last, atol=1e-5, rtol=1e-4)
            torch.testing.assert_close(pool(encoded, "mean")[number], one.last.mean(dim=0), atol=1e-5, rtol=1e-4)
    firsts = {int(place) for context in looked_up for place in context.query_index.flatten()}
    assert firsts == {int((encoded.owner == row).nonzero()[0]) for row in range(len(encoded.last))}
    hidden = {
        int(place): bool(masked)
        for context in looked_up
        for place, masked in zip(context.key_index.flatten(), context.key_masked.flatten(), strict=True)
    }
    for row in range(len(encoded.last)):
        own = encoded.owner == row
        assert hidden[int(own.nonzero()[0])] == bool(view.masked[own].any())


def test_joined_rows_cannot_be_dropped() -> None:
    view = replace(rows_view(), kept=torch.arange(0, sum(checks.LENGTHS), 2))
    with pytest.raises(ReknitError, match="positions cannot be dropped"):
        encoder_with(WordMeans())(view)


def test_a_mask_token_and_a_masked_patch_are_different_rows() -> None:
    assert MASK not in rows_view(width=PATCH).tokens[rows_view(width=PATCH).signal.at].tolist()
    assert isinstance(rows_view(width=PATCH).signal, Signal)
