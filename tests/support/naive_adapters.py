"""An encoder with an adapter, text by text and head by head: what the packed one must equal."""

from __future__ import annotations

import math
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reknit.adapters.base import Adapter
from reknit.adapters.bias import BiasAdapter
from reknit.adapters.bottleneck import ParallelAdapter, SequentialAdapter
from reknit.adapters.low_rank import LowRankAdapter
from reknit.adapters.mixed import MixedAdapter
from reknit.adapters.prefix import PrefixAdapter
from reknit.adapters.prompt import PromptAdapter
from reknit.adapters.scale import ScaleAdapter
from reknit.adapters.shared_bottleneck import SharedBottleneckAdapter
from reknit.data.batch import View
from reknit.encoders.native.encoder import NativeEncoder


def naive_output(encoder: NativeEncoder, adapter: Adapter, view: View) -> Tensor:
    """[T, dim] last hidden states of a post-norm encoder with learned positions, to which nothing is attached."""
    parts = list(adapter.parts.values()) if isinstance(adapter, MixedAdapter) else [adapter]
    assert not encoder.config.pre_norm
    assert not encoder.config.rope_thetas
    offsets = view.cu_seqlens.tolist()
    texts = [view.tokens[start:end] for start, end in pairwise(offsets)]
    return torch.cat([_text(encoder, parts, tokens) for tokens in texts])


def _text(encoder: NativeEncoder, parts: list[Adapter], tokens: Tensor) -> Tensor:
    bias = next((part.changes for part in parts if isinstance(part, BiasAdapter)), {})
    prompt = next((part.prompt for part in parts if isinstance(part, PromptAdapter)), None)
    places = torch.arange(len(tokens)) + encoder.config.position_offset
    rows = encoder.table[tokens] + encoder.position_table.weight[places]
    if prompt is not None:
        first = encoder.position_table.weight[encoder.config.position_offset]
        rows = torch.cat((prompt + first, rows))
    hidden = _norm(encoder.embedding_norm, rows + encoder.token_types.weight[0], bias.get("embedding_norm"))
    for number, block in enumerate(encoder.blocks):
        changed = {name: bias.get(f"blocks/{number}/{name}") for name, _ in block.named_modules()}
        attended = _attention(block, parts, number, hidden, changed)
        hidden = _norm(block.attention_norm, hidden + attended, changed["attention_norm"])
        fed = _feed_forward(block, parts, number, hidden, changed)
        hidden = _norm(block.feed_forward_norm, hidden + fed, changed["feed_forward_norm"])
    return hidden if prompt is None else hidden[len(prompt) :]


def _attention(block: nn.Module, parts: list[Adapter], number: int, hidden: Tensor, bias: dict) -> Tensor:
    projected = _linear(block.query_key_value, hidden, bias["query_key_value"])
    query, key, value = projected.chunk(3, dim=1)
    for part in parts:
        if isinstance(part, LowRankAdapter):
            query = query + _update(part, "query", number, hidden)
            key = key + _update(part, "key", number, hidden)
            value = value + _update(part, "value", number, hidden)
        if isinstance(part, ScaleAdapter):
            scales = part.layers[number].key_value.chunk(2)
            key, value = key * scales[0], value * scales[1]
    size = hidden.shape[1] // block.heads
    heads = []
    for head in range(block.heads):
        dims = slice(head * size, (head + 1) * size)
        weights = (query[:, dims] @ key[:, dims].T / math.sqrt(size)).softmax(dim=1)
        heads.append(weights @ value[:, dims])
        for part in parts:
            if isinstance(part, PrefixAdapter):
                layer = part.layers[number]
                scores = query[:, dims] @ layer.keys[:, head].T / math.sqrt(size)
                heads[-1] = heads[-1] + layer.gate[head].tanh() * scores.softmax(dim=1) @ layer.values[:, head]
    joined = torch.cat(heads, dim=1)
    out = _linear(block.attention_output, joined, bias["attention_output"])
    for part in parts:
        if isinstance(part, LowRankAdapter):
            out = out + _update(part, "attention_output", number, joined)
        if isinstance(part, SequentialAdapter):
            out = out + _through(part.attention[number], out, F.gelu)
    return out


def _feed_forward(block: nn.Module, parts: list[Adapter], number: int, hidden: Tensor, bias: dict) -> Tensor:
    wide = _linear(block.up, hidden, bias["up"])
    for part in parts:
        if isinstance(part, LowRankAdapter):
            wide = wide + _update(part, "up", number, hidden)
    inner = F.gelu(wide)
    for part in parts:
        if isinstance(part, ScaleAdapter):
            inner = inner * part.layers[number].inner
    out = _linear(block.down, inner, bias["down"])
    for part in parts:
        if isinstance(part, LowRankAdapter):
            out = out + _update(part, "down", number, inner)
        if isinstance(part, SequentialAdapter):
            out = out + _through(part.feed_forward[number], out, F.gelu)
        if isinstance(part, ParallelAdapter):
            out = out + _through(part.beside[number], hidden, F.relu)
        if isinstance(part, SharedBottleneckAdapter):
            narrow = part.narrow.weight * _highest(part.narrow_scores[number], part.kept)
            widen = part.widen.weight * _highest(part.widen_scores[number], part.kept)
            out = out + F.gelu(out @ narrow.T + part.narrow.bias) @ widen.T + part.widen.bias
    return out


def _update(part: LowRankAdapter, target: str, number: int, given: Tensor) -> Tensor | float:
    if target not in part.updates:
        return 0.0
    update = part.updates[target][number]
    return update.scale * given @ (update.second @ update.first).T


def _through(bottleneck: nn.Module, given: Tensor, activation) -> Tensor:
    inner = activation(given @ bottleneck.narrow.weight.T + bottleneck.narrow.bias)
    return bottleneck.scale * (inner @ bottleneck.widen.weight.T + bottleneck.widen.bias)


def _highest(scores: Tensor, kept: int) -> Tensor:
    sizes = sorted(scores.abs().flatten().tolist(), reverse=True)
    return (scores.abs() >= sizes[kept - 1]).float()


def _linear(linear: nn.Linear, given: Tensor, change: Tensor | None) -> Tensor:
    out = given @ linear.weight.T + linear.bias
    return out if change is None else out + change


def _norm(norm: nn.LayerNorm, given: Tensor, change: Tensor | None) -> Tensor:
    centred = given - given.mean(dim=1, keepdim=True)
    out = centred / (centred.pow(2).mean(dim=1, keepdim=True) + norm.eps).sqrt() * norm.weight + norm.bias
    return out if change is None else out + change
