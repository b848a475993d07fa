"""What a run may spend, and what it has spent."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from reknit.errors import ReknitError
from reknit.recipe import BudgetSpec

_SECONDS = {"s": 1, "sec": 1, "m": 60, "min": 60, "h": 3600}
_MULTIPLES = {"": 1, "k": 1e3, "m": 1e6, "g": 1e9, "b": 1e9, "t": 1e12, "p": 1e15, "e": 1e18}
_BUDGET = re.compile(r"(?P<number>\d+(\.\d+)?(e\+?\d+)?)(?P<unit>[a-z]*)", re.IGNORECASE)


def parse_budget(text: str) -> BudgetSpec:
    """Read "10m", "90s", "2h" (time), "5Mtok" (tokens) or "3Pflop" (FLOPs); several may be joined by commas.

    Raises ReknitError when a part is none of these or is not above zero.
    """
    spec = BudgetSpec()
    for part in text.split(","):
        limit, amount = _parse_part(part.strip())
        spec = replace(spec, **{limit: amount})  # type: ignore[arg-type]
    return spec


def _parse_part(part: str) -> tuple[str, float | int]:
    match = _BUDGET.fullmatch(part)
    number = float(match["number"]) if match else 0.0
    unit = match["unit"].lower() if match else ""
    if number > 0:
        if unit in _SECONDS:
            return "seconds", number * _SECONDS[unit]
        for ending, field in (("tokens", "tokens"), ("tok", "tokens"), ("flops", "flops"), ("flop", "flops")):
            if unit.endswith(ending) and unit.removesuffix(ending) in _MULTIPLES:
                amount = number * _MULTIPLES[unit.removesuffix(ending)]
                if amount >= 1:
                    return field, int(amount) if field == "tokens" else amount
    raise ReknitError(f"budget {part!r} is not understood: write time (10m, 90s), tokens (5Mtok) or FLOPs (3Pflop)")


def format_budget(budget: BudgetSpec) -> str:
    """The budget as `parse_budget` reads it."""
    limits = []
    if budget.seconds:
        limits.append(f"{budget.seconds:g}s")
    if budget.tokens:
        limits.append(f"{budget.tokens}tok")
    if budget.flops:
        limits.append(_flops(budget.flops))
    return ",".join(limits)


def _flops(amount: float) -> str:
    for prefix in "EPTG":
        size = _MULTIPLES[prefix.lower()]
        if amount >= size and float(f"{amount / size:g}") * size == amount:
            return f"{amount / size:g}{prefix}flop"
    return f"{amount!r}flop"


def scale_budget(budget: BudgetSpec, share: float) -> BudgetSpec:
    """`share` of each limit of the budget."""
    return BudgetSpec(
        tokens=None if budget.tokens is None else max(1, round(budget.tokens * share)),
        flops=None if budget.flops is None else budget.flops * share,
        seconds=None if budget.seconds is None else budget.seconds * share,
    )


@dataclass
class Ledger:
    """What a phase has spent: real tokens (padding never counts), FLOPs of all its parts, seconds of wall time."""

    tokens: int = 0
    flops: float = 0.0
    seconds: float = 0.0

    def progress(self, budget: BudgetSpec) -> float:
        """Spent share of the tightest limit, 0 to 1. A budget without any limit is never spent."""
        shares = [
            # What an earlier phase has used up is spent.
            spent / limit if limit > 0 else 1.0
            for spent, limit in (
                (self.tokens, budget.tokens),
                (self.flops, budget.flops),
                (self.seconds, budget.seconds),
            )
            if limit is not None
        ]
        return min(1.0, max(shares, default=0.0))

    def left(self, budget: BudgetSpec) -> BudgetSpec:
        """What remains of each limit, never below zero."""
        return BudgetSpec(
            tokens=None if budget.tokens is None else max(0, budget.tokens - self.tokens),
            flops=None if budget.flops is None else max(0.0, budget.flops - self.flops),
            seconds=None if budget.seconds is None else max(0.0, budget.seconds - self.seconds),
        )


@contextmanager
def count_flops() -> Iterator[FlopCounterMode]:
    """Count the matrix-product FLOPs run inside, forward and backward, attention on the processor included.

    A multiply-add is 2 FLOPs. Read them with `.get_total_flops()`.
    """
    # torch counts the accelerators' attention kernels but not the processor's.
    mapping = {
        torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: _attention_flops,
        torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward: _attention_backward_flops,
    }
    with FlopCounterMode(display=False, custom_mapping=mapping) as counter:
        yield counter


def _attention_flops(
    query_shape: torch.Size, key_shape: torch.Size, value_shape: torch.Size, *args: Any, **kwargs: Any
) -> int:
    batch, heads, queries, width = query_shape
    flops: int = 2 * batch * heads * queries * key_shape[2] * (width + value_shape[3])
    return flops


def _attention_backward_flops(
    gradient_shape: torch.Size,
    query_shape: torch.Size,
    key_shape: torch.Size,
    value_shape: torch.Size,
    *args: Any,
    **kwargs: Any,
) -> int:
    # Scores are computed again, then the gradients of value, probability, query and key: 5 products for 2 forward.
    return _attention_flops(query_shape, key_shape, value_shape) * 5 // 2
