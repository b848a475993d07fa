"""Mixers by loops over one sequence, to hold the fast ones against."""

from __future__ import annotations

import torch
from torch import Tensor

from reknit.encoders.mixers.base import Mixer
from reknit.encoders.mixers.gated_linear import GatedLinear


def naive_attention(mixer: Mixer, rows: Tensor, causal: bool) -> Tensor:
    """[L, 3 * dim] query, key and value of one sequence -> [L, dim]."""
    if len(rows) == 0:
        return rows[:, : mixer.dim]
    queries, keys, values = (part.unflatten(1, (mixer.heads, -1)) for part in rows.chunk(3, dim=1))
    out = []
    for place in range(len(rows)):
        seen = place + 1 if causal else len(rows)
        heads = []
        for head in range(mixer.heads):
            scores = keys[:seen, head] @ queries[place, head] * queries.shape[-1] ** -0.5
            heads.append(scores.softmax(dim=0) @ values[:seen, head])
        out.append(torch.cat(heads))
    return torch.stack(out)


def naive_gated_linear(mixer: GatedLinear, rows: Tensor, causal: bool) -> Tensor:
    """The recurrence itself, a row after the other: [L, projected] of one sequence -> [L, dim]."""
    if len(rows) == 0:
        return rows[:, : mixer.dim]
    half, dim, heads = mixer.dim // 2, mixer.dim, mixer.heads
    query, key, value, gate = (
        rows[:, :half],
        rows[:, half : 2 * half],
        rows[:, dim : 2 * dim],
        rows[:, 2 * dim : 3 * dim],
    )
    alphas = naive_alphas(mixer, rows[:, 3 * dim :])
    width = half // heads
    out = []
    for head in range(heads):
        own, its = slice(head * width, (head + 1) * width), slice(2 * head * width, 2 * (head + 1) * width)
        parts = (query[:, own] / width**0.5, key[:, own], value[:, its], alphas[:, own])
        read = naive_recurrence(*parts)
        if not causal:
            read = read + naive_recurrence(*(part.flip(0) for part in parts)).flip(0)
        normed = read / (read.square().mean(dim=1, keepdim=True) + 1e-5).sqrt() * mixer.norm
        opened = gate[:, its] * torch.sigmoid(gate[:, its])
        out.append(normed * opened)
    return torch.cat(out, dim=1)


def naive_recurrence(query: Tensor, key: Tensor, value: Tensor, alphas: Tensor) -> Tensor:
    """[L, k], [L, k], [L, v], [L, k] -> [L, v], in float64."""
    state, read = torch.zeros(key.shape[1], value.shape[1], dtype=torch.float64), []
    for row in range(len(query)):
        state = alphas[row].double()[:, None] * state + torch.outer(key[row].double(), value[row].double())
        read.append(query[row].double() @ state)
    return torch.stack(read).float()


def naive_alphas(mixer: GatedLinear, low: Tensor) -> Tensor:
    """[L, low rank] -> [L, dim / 2]."""
    if mixer.decay == "data":
        return torch.sigmoid(low @ mixer.decays.weight.T + mixer.decays.bias) ** (1 / 16)
    width = mixer.dim // 2 // mixer.heads
    by_head = [1 - 2.0 ** (-5 - head) if mixer.decay == "fixed" else 1.0 for head in range(mixer.heads)]
    return torch.tensor([alpha for alpha in by_head for _ in range(width)]).expand(len(low), -1)
