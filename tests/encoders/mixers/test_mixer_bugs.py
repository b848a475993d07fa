"""Each check of mixers fails on the bug that it is for."""

from __future__ import annotations

import mixer_checks as checks
import pytest
import torch
from naive_mixers import naive_attention
from torch import Tensor
from torch.nn import functional

from reknit.data.attention_rules import AttentionRule, Window, bidirectional, causal
from reknit.encoders.attention.layout import AttentionLayout
from reknit.encoders.mixers.attention import SelfAttention
from reknit.errors import ReknitError


class OneLongSequence(SelfAttention):
    """Forgets where sequences end."""

    def forward(self, projected, layout, rule, rotation) -> Tensor:
        return super().forward(projected, AttentionLayout.of(torch.tensor([0, len(projected)])), rule, rotation)


class AlwaysBothWays(SelfAttention):
    """Looks behind a row when it is asked not to."""

    def forward(self, projected, layout, rule, rotation) -> Tensor:
        return super().forward(projected, layout, bidirectional, rotation)


class AlwaysCausal(SelfAttention):
    def forward(self, projected, layout, rule, rotation) -> Tensor:
        return super().forward(projected, layout, causal, rotation)


class ShortSighted(SelfAttention):
    """Forgets what is far away, as a chunked form does that loses its state between chunks."""

    def forward(self, projected, layout, rule, rotation) -> Tensor:
        return super().forward(projected, layout, Window(40), rotation)


class LaterOnly(SelfAttention):
    """Causal, but a row does not see itself."""

    def forward(self, projected, layout, rule, rotation) -> Tensor:
        rule = (lambda context: context.key < context.query) if rule is causal else rule
        return super().forward(projected, layout, rule, rotation)


class SharpScores(SelfAttention):
    """A scale that is forgotten."""

    def forward(self, projected, layout, rule, rotation) -> Tensor:
        query, others = projected.split([self.dim, 2 * self.dim], dim=1)
        return super().forward(torch.cat((query * 8**0.5, others), dim=1), layout, rule, rotation)


class PaddingCounts(SelfAttention):
    """Adds the mean over a bucket's slots, padding among them."""

    def forward(self, projected, layout, rule, rotation) -> Tensor:
        out = super().forward(projected, layout, rule, rotation)
        slots, added = layout.to_slots(projected), []
        for bucket in layout.buckets:
            part = slots[bucket.start : bucket.start + bucket.slots].view(bucket.sequences, bucket.length, -1)
            added.append(part.mean(dim=1, keepdim=True).expand_as(part).flatten(0, 1)[:, : self.dim])
        return out + layout.from_slots(torch.cat(added))


class NotDetached(SelfAttention):
    """The right values, and a gradient that leaks from one sequence to another."""

    def forward(self, projected, layout, rule, rotation) -> Tensor:
        out = super().forward(projected, layout, rule, rotation)
        total = projected.sum()
        return out * (1 + total - total.detach())


class DropsAlways(SelfAttention):
    def forward(self, projected, layout, rule, rotation) -> Tensor:
        return functional.dropout(super().forward(projected, layout, rule, rotation), max(self.dropout, 0.01), True)


class Overflows(SelfAttention):
    """Counts in a format that is too short."""

    def forward(self, projected, layout, rule, rotation) -> Tensor:
        out = super().forward(projected, layout, rule, rotation)
        return out if projected.dtype == torch.float32 else out + projected.cumsum(0)[:, : self.dim]


class IgnoresWindows(SelfAttention):
    """Says that it honours every rule, and does not."""

    def forward(self, projected, layout, rule, rotation) -> Tensor:
        return super().forward(projected, layout, causal if rule is causal else bidirectional, rotation)


class NeedlesslyBlind(SelfAttention):
    """Hides keys that the rule shows."""

    def forward(self, projected, layout, rule: AttentionRule, rotation) -> Tensor:
        narrow = Window(1) if isinstance(rule, Window) else rule
        return super().forward(projected, layout, narrow, rotation)


CHECKS = {
    "naive": lambda mixer: checks.check_against_naive(mixer, naive_attention),
    "packing": checks.check_packing,
    "padding": checks.check_padding,
    "peeking": checks.check_no_peeking,
    "both ways": checks.check_looks_both_ways,
    "window": lambda mixer: checks.check_honours_or_refuses(mixer, Window(3)),
    "dropout": checks.check_dropout_in_training_only,
    "little": checks.check_nothing_and_little,
}


@pytest.mark.parametrize("check", CHECKS)
def test_the_mixer_without_a_bug_passes(check: str) -> None:
    CHECKS[check](SelfAttention(16, 2))


@pytest.mark.parametrize(
    ("bug", "check", "message"),
    [
        (SharpScores, "naive", "from the loops"),
        (AlwaysCausal, "naive", "from the loops"),
        (OneLongSequence, "packing", "crosses from one sequence"),
        (NotDetached, "packing", "crosses from one sequence"),
        (PaddingCounts, "padding", "moves by .* with padding"),
        (AlwaysBothWays, "peeking", "before place .* sees it"),
        (LaterOnly, "peeking", "does not see itself"),
        (ShortSighted, "peeking", "does not see it"),
        (AlwaysCausal, "both ways", "rows do not see place"),
        (ShortSighted, "both ways", "rows do not see place"),
        (IgnoresWindows, "window", "is seen by rows"),
        (NeedlesslyBlind, "window", "is not seen by rows"),
        (DropsAlways, "dropout", "dropout in evaluation mode"),
        (Overflows, "little", "in bfloat16 a row turns"),
    ],
)
def test_a_bug_is_caught(bug: type[SelfAttention], check: str, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        CHECKS[check](bug(16, 2))


def test_a_refusal_of_several_lines_is_caught() -> None:
    class Chatty(SelfAttention):
        def check_rule(self, rule: AttentionRule) -> None:
            raise ReknitError("cannot\nhonour it")

    with pytest.raises(AssertionError, match="several lines"):
        CHECKS["window"](Chatty(16, 2))
