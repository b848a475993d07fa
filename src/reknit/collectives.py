"""Means and rows over all processes that share a training step's batch; in one process, nothing happens.

The rule that every objective keeps without knowing it: within a shared step, **each loss and metric is that of the
whole batch, the same number on every process**, and what differs is only through which sequences its gradient flows.
The gradients are then averaged over the processes (as DDP and FSDP do), so here the way back multiplies by their
number. It follows that what is computed from the same numbers everywhere (a contrastive score of gathered vectors, a
penalty on the weights, a batch too small to divide) is right as it stands: the average of equal gradients is that
gradient.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

_sharing = False


@contextmanager
def shared_step() -> Iterator[None]:
    """Within the block all processes of the default group run the same step, each on its share of the batch.

    Outside of it nothing here communicates, so that one process may compute a loss alone (a probe, a test).
    """
    global _sharing
    _sharing = True
    try:
        yield
    finally:
        _sharing = False


def whole_mean(mean: Tensor, count: int | Tensor) -> Tensor:
    """The mean over the items of all processes.

    mean: scalar, the mean over this process's `count` items (anything finite when there are none). The gradient reaches
    this process's items as it would in one process that had them all.
    """
    return _averaged(mean, count) if _sharing else mean


def whole_share(hits: Tensor | float, count: int) -> float:
    """`hits` out of `count` items, over all processes; no gradient. 0 when there are no items."""
    if not _sharing:
        return float(hits) / max(count, 1)
    hits = torch.as_tensor(hits).detach()
    sums = torch.stack((hits.double(), hits.new_full((), count, dtype=torch.float64)))
    dist.all_reduce(sums)
    return float(sums[0]) / max(float(sums[1]), 1.0)


def whole(value: Any) -> Any:
    """A sliced tensor (a gradient norm, a weight) put together, which takes all processes; anything else as it is."""
    return value.full_tensor() if hasattr(value, "full_tensor") else value


def gathered_rows(rows: Tensor, first: int, total: int) -> Tensor:
    """[n, ...] this process's rows -> [total, ...] those of all processes, this one's from row `first` on.

    What is computed from them must be the same on every process; the gradient comes back to each process's own rows
    without further communication.
    """
    return _gathered(rows, first, total)


class _WholeMean(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, mean: Tensor, count: int | Tensor) -> Tensor:
        items = torch.as_tensor(count, device=mean.device).double()
        sums = torch.stack((mean.double() * items, items))
        dist.all_reduce(sums)
        total = sums[1].clamp(min=1.0)
        ctx.scale = dist.get_world_size() * items / total
        return (sums[0] / total).to(mean.dtype)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        return grads[0] * ctx.scale.to(grads[0].dtype), None


_averaged: Callable[[Tensor, int | Tensor], Tensor] = _WholeMean.apply


class _GatheredRows(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rows: Tensor, first: int, total: int) -> Tensor:
        ctx.own = slice(first, first + len(rows))
        # A sum with zeros is a gather that does not mind how many rows each process has.
        gathered = rows.new_zeros((total, *rows.shape[1:]))
        gathered[ctx.own] = rows
        dist.all_reduce(gathered)
        return gathered

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        return grads[0][ctx.own] * dist.get_world_size(), None, None


_gathered: Callable[[Tensor, int, int], Tensor] = _GatheredRows.apply
