"""Cross-entropy through a vocabulary head, in chunks, so that the whole table of logits never exists."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from reknit.collectives import whole_mean

# Elements of one chunk of logits. On the CPU a chunk should stay in the cache (measured: 2**23 is best, 2**25 a tenth
# slower); elsewhere it should be large enough to fill the device, and 2**26 is 256 MiB of float32.
CPU_CHUNK_ELEMENTS = 2**23
CHUNK_ELEMENTS = 2**26
# Chunks whose slopes are kept on the CPU for one product with the states: each product passes over the whole gradient
# of the table (measured in bfloat16: 10 ms of memory traffic beside 18 ms of arithmetic for one chunk of 274 rows).
CPU_CHUNKS_PER_PRODUCT = 4


def cross_entropy(states: Tensor, table: Tensor, bias: Tensor | None, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Mean cross-entropy of softmax(states @ table.T + bias) against `targets` (of all processes in a shared step).

    The gradient is computed chunk by chunk in the forward pass, while a chunk's logits are at hand: three matrix
    products instead of the four of recomputing, and never more than a few chunks of logits in memory. Matrix products
    run in the autocast type where autocast is on; the softmax is always float32.

    states: [P, D], targets: [P] int64, table: [V, D], bias: [V] or None. Returns the scalar float32 loss (0 when
    P = 0) and the number of targets that had the largest logit (int64 scalar, no gradient; ties count as hits).
    One way back, and no second derivatives.
    """
    loss, hits = _chunked(states, table, bias, targets)
    return whole_mean(loss, targets.numel()), hits


def token_losses(states: Tensor, table: Tensor, bias: Tensor, targets: Tensor) -> Tensor:
    """[P] float32 cross-entropy of each target, arguments as above; logits are made again on the way back."""

    def of_chunk(rows: Tensor, wanted: Tensor) -> Tensor:
        return functional.cross_entropy((rows @ table.t()).float() + bias, wanted, reduction="none")

    # No rows make one empty chunk, through which a process without targets reaches every weight.
    size = chunk_rows(states.device, len(table))
    chunks = zip(states.split(size), targets.split(size), strict=True)
    return torch.cat([checkpoint(of_chunk, *chunk, use_reentrant=False, preserve_rng_state=False) for chunk in chunks])


def compute_dtype(tensor: Tensor) -> torch.dtype:
    """The type that matrix products on this tensor's device run in: autocast's where it is on, else the tensor's."""
    kind = tensor.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else tensor.dtype


def chunk_rows(device: torch.device, vocabulary: int) -> int:
    """How many rows of logits to make at a time."""
    return max(1, (CPU_CHUNK_ELEMENTS if device.type == "cpu" else CHUNK_ELEMENTS) // vocabulary)


def scaled_gradients(ctx: Any, scale: Tensor) -> list[Any]:
    """The gradients that the forward pass left as `ctx.gradients`, times `scale`; None stays None.

    In place, and `ctx` lets go of them, so that autograd may add others to them in place too: fresh memory of the
    table's size costs the CPU more than the arithmetic.
    """
    gradients = ctx.gradients
    del ctx.gradients
    return [None if gradient is None else gradient.mul_(scale) for gradient in gradients]


class _ChunkedCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, states: Tensor, table: Tensor, bias: Tensor | None, targets: Tensor) -> tuple[Tensor, Tensor]:
        count, vocabulary = targets.numel(), table.shape[0]
        dtype = compute_dtype(states)
        needs_gradient = any(ctx.needs_input_grad[:3])
        lean_table = table.to(dtype)
        loss = states.new_zeros((), dtype=torch.float32)
        hits = targets.new_zeros(())
        states_grad = torch.empty_like(states) if needs_gradient else None
        table_grad: Tensor | None = None
        bias_grad = torch.zeros_like(bias, dtype=torch.float32) if needs_gradient and bias is not None else None

        rows = min(chunk_rows(states.device, vocabulary), max(count, 1))
        # One buffer for all chunks: fresh memory of this size costs the CPU more than filling it.
        buffer = torch.empty(rows, vocabulary, dtype=torch.float32, device=states.device)
        lean = dtype != torch.float32
        span = rows * CPU_CHUNKS_PER_PRODUCT if lean and states.device.type == "cpu" else rows
        slopes = torch.empty(min(span, count), vocabulary, dtype=dtype, device=states.device) if lean else buffer
        for start in range(0, count, rows):
            chunk, wanted = states[start : start + rows].to(dtype), targets[start : start + rows, None]
            place = start % span
            logits, kept = buffer[: len(chunk)], slopes[place : place + len(chunk)]
            torch.mm(chunk, lean_table.t(), out=kept)
            if lean:
                logits.copy_(kept)
            if bias is not None:
                logits += bias
            largest = logits.amax(dim=1, keepdim=True)
            target_logits = logits.gather(1, wanted)
            shares = torch.softmax(logits, dim=1, out=logits)
            # The largest share is 1 / sum(exp(logits - largest)), which the other shares may be too small to tell.
            loss += (largest - target_logits - shares.amax(dim=1, keepdim=True).log()).sum()
            hits += (target_logits >= largest).sum()
            if states_grad is None:
                continue
            # d loss / d logits times `count`, by which the way back divides
            slope = shares.scatter_add_(1, wanted, torch.full_like(target_logits, -1.0))
            if bias_grad is not None:
                bias_grad.addmv_(slope.t(), slope.new_ones(len(chunk)))
            if lean:
                kept.copy_(slope)
            states_grad[start : start + rows] = torch.mm(kept, lean_table)
            stop = start + len(chunk)
            if stop == count or stop % span == 0:
                first = start - place
                kept, chunk = slopes[: stop - first], states[first:stop].to(dtype)
                if table_grad is None:
                    table_grad = torch.mm(kept.t(), chunk).float()
                elif lean:
                    table_grad += torch.mm(kept.t(), chunk)
                else:
                    table_grad.addmm_(kept.t(), chunk)

        if needs_gradient and table_grad is None:
            table_grad = torch.zeros_like(table, dtype=torch.float32)
        ctx.gradients = (states_grad, table_grad, bias_grad)
        ctx.count, ctx.table_dtype = max(count, 1), table.dtype
        ctx.mark_non_differentiable(hits)
        return loss / ctx.count, hits

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        states_grad, table_grad, bias_grad = scaled_gradients(ctx, grads[0] / ctx.count)
        return states_grad, table_grad.to(ctx.table_dtype), bias_grad, None


_chunked: Callable[[Tensor, Tensor, Tensor | None, Tensor], tuple[Tensor, Tensor]] = _ChunkedCrossEntropy.apply
