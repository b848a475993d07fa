"""DupMAE's bag-of-words loss: the words of a text, predicted from the maximum over its tokens' vocabulary logits."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from reknit.collectives import whole_mean
from reknit.losses.cross_entropy import chunk_rows, compute_dtype, scaled_gradients


def bag_of_words(states: Tensor, table: Tensor, bias: Tensor | None, cu_seqlens: Tensor, words: Tensor) -> Tensor:
    """Mean over the sequences of -(1 / n) * sum over distinct words w of log softmax(max over tokens of logits)[w].

    Liu et al. 2023 (DupMAE), with the weight 1 / n of the authors' code, where n is the number of tokens of the
    sequence and a word that occurs twice counts once. The caller leaves special tokens out of both.

    states: [T, D] after the head's transform, packed; cu_seqlens: [N + 1]; words: [T] int64 clean ids of the same
    tokens; table: [V, D]; bias: [V] or None. Returns a float32 scalar. Sequences without tokens add nothing and are
    not counted; without any sequence the loss is 0. In a shared step the mean is over all processes. Logits are made
    in chunks of whole sequences, and the gradient, which reaches one token per word and sequence only, is computed
    there too; it keeps two numbers per sequence and row of the table. One way back, and no second derivatives.
    """
    loss = _bag_of_words(states, table, bias, cu_seqlens, words)
    return whole_mean(loss, (cu_seqlens.diff() > 0).sum())


class _BagOfWords(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, states: Tensor, table: Tensor, bias: Tensor | None, cu_seqlens: Tensor, words: Tensor
    ) -> Tensor:
        dtype = compute_dtype(states)
        needs_gradient = any(ctx.needs_input_grad[:3])
        lean_table, lean_states, full_states = table.to(dtype), states.to(dtype), states.float()
        bounds = [(start, stop) for start, stop in pairwise(cu_seqlens.tolist()) if stop > start]
        groups = _group(bounds, chunk_rows(states.device, table.shape[0]))
        count = max(len(bounds), 1)
        loss = states.new_zeros((), dtype=torch.float32)
        states_grad = torch.zeros_like(full_states) if needs_gradient else None
        table_grad = torch.zeros_like(table, dtype=torch.float32) if needs_gradient and not bounds else None
        bias_grad = torch.zeros_like(bias, dtype=torch.float32) if needs_gradient and bias is not None else None
        slopes, all_winners = [], []

        # One buffer for all groups: fresh memory of this size costs the CPU more than filling it.
        longest = max((group[-1][1] - group[0][0] for group in groups), default=0)
        buffer = lean_states.new_empty(longest, table.shape[0])
        for group in groups:
            pooled, winners = _pool_logits(lean_states, lean_table, group, buffer)
            if bias is not None:  # the same for every token, so it moves no maximum
                pooled += bias
            log_shares = pooled.log_softmax(dim=1)
            wanted = _targets(group, words, table.shape[0])
            loss -= (wanted * log_shares).sum() / count
            if states_grad is None:
                continue
            slope = (log_shares.exp_() * wanted.sum(dim=1, keepdim=True) - wanted) / count
            if bias_grad is not None:
                bias_grad += slope.sum(dim=0)
            _add_states_gradient(states_grad, slope, winners, table, group)
            slopes.append(slope)
            all_winners.append(winners)

        if slopes:
            # Row v of the table's gradient is a weighted sum of the states that won word v, one per sequence: made for
            # all sequences at once, the table is written once.
            table_grad = functional.embedding_bag(
                torch.cat(all_winners).t().contiguous(),
                full_states,
                per_sample_weights=torch.cat(slopes).t().contiguous(),
                mode="sum",
            )
        ctx.gradients = (states_grad, table_grad, bias_grad)
        ctx.dtypes = (states.dtype, table.dtype)
        return loss

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        states_grad, table_grad, bias_grad = scaled_gradients(ctx, grads[0])
        states_dtype, table_dtype = ctx.dtypes
        return states_grad.to(states_dtype), table_grad.to(table_dtype), bias_grad, None, None


_bag_of_words: Callable[[Tensor, Tensor, Tensor | None, Tensor, Tensor], Tensor] = _BagOfWords.apply


def _pool_logits(states: Tensor, table: Tensor, group: list[tuple[int, int]], buffer: Tensor) -> tuple[Tensor, Tensor]:
    """[n, V] float32 maximum of each sequence's logits, and the [n, V] packed position that has it.

    buffer: [tokens of the group or more, V], overwritten with the logits.
    """
    first, last = group[0][0], group[-1][1]
    logits = torch.mm(states[first:last], table.t(), out=buffer[: last - first])
    pooled, winners = [], []
    for start, stop in group:
        highest = logits[start - first : stop - first].max(dim=0)
        pooled.append(highest.values)
        winners.append(highest.indices + start)
    return torch.stack(pooled).float(), torch.stack(winners)


def _targets(group: list[tuple[int, int]], words: Tensor, vocabulary: int) -> Tensor:
    """[n, V] float32, 1 / length at each distinct word of the sequence."""
    first = group[0][0]
    lengths = torch.tensor([stop - start for start, stop in group], device=words.device)
    rows = torch.arange(len(group), device=words.device).repeat_interleave(lengths)
    wanted = torch.zeros(len(group), vocabulary, device=words.device)
    wanted[rows, words[first : group[-1][1]]] = 1.0
    return wanted / lengths[:, None]


def _add_states_gradient(
    states_grad: Tensor, slope: Tensor, winners: Tensor, table: Tensor, group: list[tuple[int, int]]
) -> None:
    """Add to each token's gradient the table rows of the words it won, weighted by their slopes.

    Sorting the winners and summing runs of table rows reads each row once; scattering row by row, or a dense product
    with a matrix that is nearly all zeros, costs several times more.
    """
    first, last = group[0][0], group[-1][1]
    sorted_winners, order = winners.flatten().sort(stable=True)
    offsets = torch.searchsorted(sorted_winners, torch.arange(first, last, device=winners.device))
    states_grad[first:last] += functional.embedding_bag(
        order % table.shape[0],
        table.detach().float(),
        offsets,
        per_sample_weights=slope.flatten()[order],
        mode="sum",
    )


def _group(bounds: list[tuple[int, int]], tokens: int) -> list[list[tuple[int, int]]]:
    """Runs of sequences with at most `tokens` tokens together (or one longer sequence)."""
    groups: list[list[tuple[int, int]]] = []
    for start, stop in bounds:
        if groups and stop - groups[-1][0][0] <= tokens:
            groups[-1].append((start, stop))
        else:
            groups.append([(start, stop)])
    return groups
