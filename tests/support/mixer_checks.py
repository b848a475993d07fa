"""The checks that every mixer must pass. Each raises AssertionError and says what it found.

tests/encoders/mixers/test_mixer_bugs.py proves for each check here that it fails on the bug it is for.
"""

from __future__ import annotations

from collections.abc import Callable
from unittest import mock

import torch
from torch import Tensor

from reknit.data.attention_rules import AttentionContext, AttentionRule, bidirectional, causal
from reknit.encoders.attention import layout as layouts
from reknit.encoders.attention.layout import AttentionLayout
from reknit.encoders.mixers.base import Mixer
from reknit.errors import ReknitError

NaiveMixer = Callable[[Mixer, Tensor, bool], Tensor]
"""The mixer, [L, projected] rows of one sequence and whether it is causal -> [L, mixed], by loops."""

RAGGED = (5, 1, 33, 0, 17, 64, 2, 70)
BOTH_WAYS = (bidirectional, causal)


def projected_rows(mixer: Mixer, lengths: tuple[int, ...] = RAGGED, seed: int = 0, scale: float = 1.0) -> Tensor:
    return scale * torch.randn(sum(lengths), mixer.projected, generator=torch.Generator().manual_seed(seed))


def mixed(mixer: Mixer, rows: Tensor, lengths: tuple[int, ...] = RAGGED, rule: AttentionRule = bidirectional) -> Tensor:
    cu_seqlens = torch.tensor([0, *lengths]).cumsum(0)
    return mixer(rows, AttentionLayout.of(cu_seqlens), rule, None)


def check_against_naive(mixer: Mixer, naive: NaiveMixer, scale: float = 1.0, tolerance: float = 1e-4) -> None:
    """Values and gradients of packed ragged sequences are those of loops over each sequence."""
    for rule in BOTH_WAYS:
        found, expected = projected_rows(mixer, scale=scale), projected_rows(mixer, scale=scale)
        found.requires_grad_(), expected.requires_grad_()
        values = mixed(mixer, found, rule=rule)
        by_loops = torch.cat([naive(mixer, part, rule is causal) for part in expected.split(RAGGED)])
        assert values.shape == (sum(RAGGED), mixer.mixed), f"{tuple(values.shape)} rows came back"
        difference = float((values - by_loops).detach().abs().max())
        assert difference <= tolerance, f"the mixer is {difference:.2g} from the loops ({_name(rule)})"
        weights = torch.randn(values.shape, generator=torch.Generator().manual_seed(1))
        (mine,) = torch.autograd.grad((values * weights).sum(), found)
        (theirs,) = torch.autograd.grad((by_loops * weights).sum(), expected)
        difference = float((mine - theirs).abs().max() / theirs.abs().max())
        assert difference <= 10 * tolerance, f"the gradient is {difference:.2g} from the loops' ({_name(rule)})"


def check_packing(mixer: Mixer) -> None:
    """A sequence comes out the same beside other neighbours, and no gradient crosses from one to another."""
    first = projected_rows(mixer, (19,), seed=5)
    for rule in BOTH_WAYS:
        outs = []
        for lengths, seed in (((4, 50), 1), ((40, 3, 3, 16), 2)):
            rows = torch.cat([first, projected_rows(mixer, lengths, seed)]).requires_grad_()
            out = mixed(mixer, rows, (19, *lengths), rule)[:19]
            (gradient,) = torch.autograd.grad(out.square().sum(), rows)
            crossed = float(gradient[19:].abs().max())
            assert crossed == 0, f"a gradient of {crossed:.2g} crosses from one sequence to another ({_name(rule)})"
            outs.append(out.detach())
        difference = float((outs[0] - outs[1]).abs().max())
        assert difference <= 1e-5, f"a sequence moves by {difference:.2g} with its neighbours ({_name(rule)})"


def check_padding(mixer: Mixer) -> None:
    """Sequences padded to the longest come out as those that are computed alone."""
    lengths = (40, 3, 17)
    for rule in BOTH_WAYS:
        outs = []
        for bounds in (lambda each: [(n, n + 1) for n in range(len(each))], lambda each: [(0, len(each))]):
            with mock.patch.object(layouts, "_bucket_bounds", bounds):
                rows = projected_rows(mixer, lengths).requires_grad_()
                out = mixed(mixer, rows, lengths, rule)
                outs.append((out.detach(), torch.autograd.grad(out.square().sum(), rows)[0]))
        for what, alone, padded in zip(("row", "gradient"), *outs, strict=True):
            difference = float((alone - padded).abs().max())
            assert difference <= 1e-4, f"a {what} moves by {difference:.2g} with padding ({_name(rule)})"


def check_no_peeking(mixer: Mixer, length: int = 70) -> None:
    """Causal: a row depends on itself and what came before, all of it, and on nothing behind it."""
    for place in (0, 1, 15, 16, 17, 40, 63, 64, length - 1):
        moved = _moved_by(mixer, length, place, causal)
        assert not moved[:place].any(), f"a row before place {place} sees it ({_name(causal)})"
        assert moved[place], f"the row at place {place} does not see itself"
        assert moved[place:].all(), f"a row behind place {place} does not see it"


def check_looks_both_ways(mixer: Mixer, length: int = 70) -> None:
    """Without a rule, every row depends on every row."""
    for place in (0, 16, 40, length - 1):
        moved = _moved_by(mixer, length, place, bidirectional)
        assert moved.all(), f"{int((~moved).sum())} of {length} rows do not see place {place}"


def check_honours_or_refuses(mixer: Mixer, rule: AttentionRule, length: int = 12) -> None:
    """A rule that `check_rule` lets pass is honoured to the last key; any other is refused in one line."""
    refusal = _refusal(mixer, rule)
    if refusal is not None:
        assert "\n" not in refusal, f"the refusal has several lines: {refusal}"
        return
    layout = AttentionLayout.of(torch.tensor([0, length]))
    allowed = _visible(rule, layout)
    for place in range(length):
        moved = _moved_by(mixer, length, place, rule)
        forbidden = moved & ~allowed[:, place]
        assert not forbidden.any(), f"place {place} is seen by rows {forbidden.nonzero().flatten().tolist()}"
        blind = ~moved & allowed[:, place]
        assert not blind.any(), f"place {place} is not seen by rows {blind.nonzero().flatten().tolist()}"


def check_dropout_in_training_only(mixer: Mixer) -> None:
    """In evaluation the same rows give the same bits, whatever the dropout."""
    mixer.dropout = 0.5
    rows = projected_rows(mixer)
    mixer.eval()
    assert torch.equal(mixed(mixer, rows), mixed(mixer, rows)), "dropout in evaluation mode"
    mixer.dropout = 0.0
    mixer.train()
    assert torch.equal(mixed(mixer, rows), mixed(mixer, rows)), "something is dropped where the dropout is 0"


def check_nothing_and_little(mixer: Mixer) -> None:
    """No rows at all, and bfloat16 rows under autocast."""
    assert mixed(mixer, projected_rows(mixer, (0,)), (0,)).shape == (0, mixer.mixed)
    rows = projected_rows(mixer)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        rounded = mixed(mixer, rows.bfloat16())
    exact = mixed(mixer, rows).detach()
    cosines = torch.nn.functional.cosine_similarity(rounded.float(), exact, dim=1)
    assert cosines.min() > 0.99, f"in bfloat16 a row turns to a cosine of {float(cosines.min()):.4f}"


def _refusal(mixer: Mixer, rule: AttentionRule) -> str | None:
    try:
        mixer.check_rule(rule)
    except ReknitError as error:
        return str(error)
    return None


def _moved_by(mixer: Mixer, length: int, place: int, rule: AttentionRule) -> Tensor:
    """[length] bool, the rows that move when the row at `place` changes."""
    mixer.eval()
    rows = projected_rows(mixer, (length,))
    changed = rows.clone()
    changed[place] += 3.0
    with torch.no_grad():
        return (mixed(mixer, changed, (length,), rule) - mixed(mixer, rows, (length,), rule)).abs().amax(dim=1) > 0


def _visible(rule: AttentionRule, layout: AttentionLayout) -> Tensor:
    """[length, length] bool, which key each query of the only sequence may look at."""
    bucket = layout.buckets[0]
    context: AttentionContext = layout.context(bucket, 0)
    return rule(context).expand(1, bucket.length, bucket.length)[0]


def _name(rule: AttentionRule) -> str:
    return "causal" if rule is causal else "both ways"
