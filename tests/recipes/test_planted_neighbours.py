"""Planted mistakes of packing and padding: of every kind of objective the checks find them."""

from __future__ import annotations

import pytest
import recipe_checks as checks
from cases import CASES, Case
from planted import fails
from torch import Tensor
from toy_models import neighbours

from reknit.encoders.attention.packed import AttentionLayout

every_case = pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))


@every_case
def test_padding_is_attended(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    right = AttentionLayout._make_mask

    def careless(self: AttentionLayout, *rest: object) -> Tensor | None:
        padding, self.padding = self.padding, None
        try:
            return right(self, *rest)
        finally:
            self.padding = padding

    monkeypatch.setattr(AttentionLayout, "_make_mask", careless)
    encoder, objective = case.pair("mean")
    fails(checks.check_packing_invariance, objective, encoder, *neighbours(case.recipe))
    fails(checks.check_padding_invariance, objective, encoder, neighbours(case.recipe)[1])


@every_case
def test_sequences_see_each_other(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    right = AttentionLayout.of.__func__

    def one_long_sequence(cls: type, cu_seqlens: Tensor, hidden: Tensor | None = None, **rest: Tensor) -> object:
        return right(cls, cu_seqlens[[0, -1]], hidden)

    monkeypatch.setattr(AttentionLayout, "of", classmethod(one_long_sequence))
    encoder, objective = case.pair()
    if objective.left_to_right:
        checks.check_packing_invariance(objective, encoder, *neighbours(case.recipe))
    else:
        fails(checks.check_packing_invariance, objective, encoder, *neighbours(case.recipe))
