"""Each check of stems fails on the bug that it is for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import stem_checks as checks
import torch
from encoder_samples import shake
from naive_stems import PATCH, naive_patches, naive_words
from stem_checks import DIM, WordMeans, rows_view

from reknit.data.batch import View
from reknit.encoders.stems.base import LookUp, Rows, Stem
from reknit.encoders.stems.patches import PatchStem


class ShowsMasked(PatchStem):
    def forward(self, view: View, look_up: LookUp) -> Rows:
        return super().forward(replace(view, masked=torch.zeros_like(view.masked)), look_up)


class ForgetsPatches(PatchStem):
    """Every patch is the row of its id."""

    def forward(self, view: View, look_up: LookUp) -> Rows:
        return super().forward(replace(view, signal=None), look_up)


class ShiftedPatches(PatchStem):
    """Patches stand a place too far to the left."""

    def forward(self, view: View, look_up: LookUp) -> Rows:
        assert view.signal is not None
        values = view.signal.values.roll(1, dims=0)
        return super().forward(replace(view, signal=replace(view.signal, values=values)), look_up)


class CoarsePatches(PatchStem):
    """Loses the last of a patch's numbers."""

    def forward(self, view: View, look_up: LookUp) -> Rows:
        assert view.signal is not None
        values = view.signal.values * (torch.arange(PATCH) < PATCH - 1)
        return super().forward(replace(view, signal=replace(view.signal, values=values)), look_up)


class WordsAcrossTexts(WordMeans):
    """A word goes on into the next sequence."""

    def forward(self, view: View, look_up: LookUp) -> Rows:
        rows = super().forward(replace(view, cu_seqlens=view.cu_seqlens[[0, -1]]), look_up)
        return replace(rows, cu_seqlens=rows.owner[(view.cu_seqlens - 1).clamp(min=0)] + (view.cu_seqlens > 0))


class LosesARow(WordMeans):
    """The last row belongs to no vector that is there."""

    def forward(self, view: View, look_up: LookUp) -> Rows:
        rows = super().forward(view, look_up)
        owner = rows.owner.clone()
        owner[-1] += 1
        return replace(rows, owner=owner)


class OutOfOrder(WordMeans):
    def forward(self, view: View, look_up: LookUp) -> Rows:
        rows = super().forward(view, look_up)
        return replace(rows, owner=rows.owner.flip(0))


class OldPositions(WordMeans):
    """Positions of the rows that it got instead of those that it gives."""

    def forward(self, view: View, look_up: LookUp) -> Rows:
        rows = super().forward(view, look_up)
        return replace(rows, positions=rows.first_rows)


class LastOfWord(WordMeans):
    """A word is its last token."""

    def forward(self, view: View, look_up: LookUp) -> Rows:
        rows = super().forward(view, look_up)
        last = torch.cat((rows.owner.diff() > 0, torch.ones(1, dtype=torch.bool)))
        return replace(rows, vectors=self.projection(look_up(view.tokens))[last])


class Frozen(WordMeans):
    def forward(self, view: View, look_up: LookUp) -> Rows:
        with torch.no_grad():
            rows = super().forward(view, look_up)
        return replace(rows, vectors=rows.vectors + 0 * look_up(view.tokens).sum())


CHECKS: dict[str, Callable[[Stem, View], None]] = {
    "owner": checks.check_owner_covers,
    "naive patches": lambda stem, view: checks.check_against_naive(stem, naive_patches, view),
    "naive words": lambda stem, view: checks.check_against_naive(stem, naive_words, view),
    "packing": checks.check_packing,
    "content": checks.check_content,
    "gradients": checks.check_gradients,
    "round trip": checks.check_round_trip,
}


@pytest.mark.parametrize(
    ("bug", "check", "message"),
    [
        (ShowsMasked, "content", "shows what it holds"),
        (ForgetsPatches, "content", "does not move its vector alone"),
        (ShiftedPatches, "content", "does not move its vector alone"),
        (ShiftedPatches, "naive patches", "from the loops"),
        (ForgetsPatches, "gradients", "gets no gradient"),
        (CoarsePatches, "round trip", "patches come back"),
        (WordsAcrossTexts, "owner", "positions|another sequence|no row"),
        (WordsAcrossTexts, "packing", "with its neighbours|beside neighbours"),
        (LosesARow, "owner", "vector that is not there"),
        (OutOfOrder, "owner", "not in order"),
        (OldPositions, "owner", "positions are not the places"),
        (LastOfWord, "naive words", "from the loops"),
        (LastOfWord, "content", "does not move its vector alone"),
        (Frozen, "gradients", "gets no gradient"),
    ],
)
def test_a_bug_is_caught(bug: type[Stem], check: str, message: str) -> None:
    of_patches = issubclass(bug, PatchStem)
    stem = shake(bug(PATCH, DIM) if of_patches else bug())
    with pytest.raises(AssertionError, match=message):
        CHECKS[check](stem, rows_view(width=PATCH if of_patches else 0))
