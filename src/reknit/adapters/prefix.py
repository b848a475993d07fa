"""Prefix tuning: learned keys and values in every layer, with a gate that is shut at first.

Li and Liang 2021 (https://arxiv.org/abs/2101.00190) put the prefix into the softmax of the text's own keys. Here it has
a softmax of its own, whose result a gate of each head, tanh(g), adds: the zero-initialised attention of LLaMA-Adapter
(Zhang et al. 2023, https://arxiv.org/abs/2303.16199). So attaching it changes nothing, and text and prefix need no
common attention.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from reknit.adapters.base import Adapter, AdapterSpec, Handover, members
from reknit.adapters.places import linears, query_key_values
from reknit.data.batch import View
from reknit.encoders.native.encoder import NativeEncoder
from reknit.errors import ReknitError
from reknit.ranges import PositiveInt


@dataclass(frozen=True)
class PrefixSpec(AdapterSpec):
    """Prefix tuning: learned keys and values in each block's attention."""

    kind: ClassVar[str] = "prefix"
    learning_rate: ClassVar[float] = 3e-3

    length: PositiveInt = 8
    """Keys, and as many values, of each block."""

    def build(self, encoder: NativeEncoder) -> PrefixAdapter:
        return PrefixAdapter(self, encoder)


class LayerPrefix(nn.Module):
    """keys, values: [length, heads, head_dim], before any rotation. gate: [heads]."""

    def __init__(self, keys: Tensor, values: Tensor) -> None:
        super().__init__()
        self.keys, self.values = nn.Parameter(keys), nn.Parameter(values)
        self.gate = nn.Parameter(torch.zeros(keys.shape[1]))
        self._query = Handover()

    def leave_query(self, module: nn.Module, arguments: tuple[Tensor], output: Tensor) -> None:
        """A forward hook of the projection to query, key and value."""
        self._query.leave(output.chunk(3, dim=-1)[0])

    def hook(self, module: nn.Module, arguments: tuple[Tensor]) -> tuple[Tensor]:
        """A forward pre-hook of the projection of what the heads have attended to."""
        given = self._query.take()
        assert given is not None, "queries are made before they attend"
        query = given.unflatten(-1, (*self.gate.shape, -1))
        scores = torch.einsum("thd,phd->thp", query, self.keys) / math.sqrt(query.shape[-1])
        attended = torch.einsum("thp,phd->thd", scores.softmax(dim=-1), self.values)
        return (arguments[0] + (self.gate.tanh().unsqueeze(1) * attended).flatten(1),)


class PrefixAdapter(Adapter):
    """See `PrefixSpec`. Keys and values begin as those that random tokens have in the encoder, as Li and Liang advise
    (activations of real words)."""

    cannot_merge = "what its keys and values add depends on the text"

    def __init__(self, spec: PrefixSpec, encoder: NativeEncoder) -> None:
        super().__init__()
        if spec.length > encoder.max_positions:
            raise ReknitError(f"prefix: length is {spec.length}, above the encoder's {encoder.max_positions} positions")
        tokens = torch.randint(encoder.table.shape[0], (spec.length,)).to(encoder.table.device)
        self.layers = nn.ModuleList(LayerPrefix(*pair) for pair in _keys_and_values(encoder, tokens))

    def attach(self, encoder: NativeEncoder) -> list[RemovableHandle]:
        handles = []
        projections = query_key_values(encoder), linears(encoder, "attention_output")
        for before, after, layer in zip(*projections, members(self.layers, LayerPrefix), strict=True):
            handles += [before.register_forward_hook(layer.leave_query), after.register_forward_pre_hook(layer.hook)]
        return handles


def _keys_and_values(encoder: NativeEncoder, tokens: Tensor) -> list[tuple[Tensor, Tensor]]:
    """[P] tokens of one text -> of each layer its keys and values, [P, heads, head_dim] each."""
    found: list[tuple[Tensor, Tensor]] = []

    def note(module: nn.Module, arguments: tuple[Tensor], output: Tensor) -> None:
        _, keys, values = output.detach().float().unflatten(-1, (3, encoder.config.heads, -1)).unbind(1)
        found.append((keys.clone(), values.clone()))

    handles = [linear.register_forward_hook(note) for linear in query_key_values(encoder)]
    nothing = torch.zeros_like(tokens, dtype=torch.bool)
    ends = torch.tensor([0, tokens.numel()], device=tokens.device)
    was_training = encoder.training
    try:
        with torch.no_grad():
            encoder.eval()(View(tokens, ends, tokens, nothing, nothing))
    finally:
        encoder.train(was_training)
        for handle in handles:
            handle.remove()
    return found
