"""Attention rules: predicates that say which key a query may look at.

One mechanism serves every published mask: a rule gets an `AttentionContext` and answers a boolean tensor that
broadcasts to [sequences, queries, keys]. Keys of other sequences and padding never reach a rule: packing keeps them
apart. Rules combine with `Both`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor


@dataclass(frozen=True)
class AttentionContext:
    """What a rule may look at. Shapes broadcast to [sequences, queries, keys].

    query, key: int64 positions in the sequence, [b, Lq, 1] and [b, 1, Lk].
    query_index, key_index: int64 flat positions on the packed token axis, same shapes; a rule can gather any per-token
        tensor with them. Padding repeats position 0.
    query_masked, key_masked: bool, whether the token is masked in this view.
    layer: number of the layer, from 0.
    """

    query: Tensor
    key: Tensor
    query_index: Tensor
    key_index: Tensor
    query_masked: Tensor
    key_masked: Tensor
    layer: int


AttentionRule = Callable[[AttentionContext], Tensor]


def bidirectional(context: AttentionContext) -> Tensor:
    """Every token sees its whole sequence."""
    return torch.ones((), dtype=torch.bool, device=context.query.device)


def causal(context: AttentionContext) -> Tensor:
    """A token sees itself and what came before."""
    return context.key <= context.query


@dataclass(frozen=True)
class Window:
    """A token sees keys at most `reach` places away on either side (ModernBERT's local layers, Longformer)."""

    reach: int

    def __call__(self, context: AttentionContext) -> Tensor:
        return (context.query - context.key).abs() <= self.reach


# Rules that hold a tensor are compared as objects: `eq=False`.
@dataclass(frozen=True, eq=False)
class CausalWhere:
    """Where `causal` ([T] bool, alike in a whole sequence) a token sees itself and what came before, elsewhere all."""

    causal: Tensor

    def __call__(self, context: AttentionContext) -> Tensor:
        return ~self.causal[context.query_index] | (context.key <= context.query)


@dataclass(frozen=True, eq=False)
class VisibleKeys:
    """A token sees itself and the keys that are `visible` ([T] bool)."""

    visible: Tensor

    def __call__(self, context: AttentionContext) -> Tensor:
        return self.visible[context.key_index] | (context.key == context.query)


@dataclass(frozen=True, eq=False)
class BehindBottleneck:
    """What stands behind a sequence's bottleneck does not see what stands before it.

    side: [T] int64, -1 before the bottleneck, 0 for itself, 1 behind it.
    """

    side: Tensor

    def __call__(self, context: AttentionContext) -> Tensor:
        return ~((self.side[context.query_index] > 0) & (self.side[context.key_index] < 0))


@dataclass(frozen=True, eq=False)
class PrefixThenCausal:
    """The first part of a sequence sees itself in both directions; what stands `behind` it ([T] bool) sees all of the
    first part, itself and what came before (the sequence-to-sequence mask of UniLM, Dong et al. 2019)."""

    behind: Tensor

    def __call__(self, context: AttentionContext) -> Tensor:
        return ~self.behind[context.key_index] | (context.key <= context.query)


@dataclass(frozen=True)
class Both:
    """A key is seen when both rules allow it."""

    first: AttentionRule
    second: AttentionRule

    def __call__(self, context: AttentionContext) -> Tensor:
        return self.first(context) & self.second(context)


@dataclass(frozen=True)
class Shifted:
    """A rule that knows the tokens by their flat positions in a longer batch, of which these begin at `first`."""

    rule: AttentionRule
    first: int

    def __call__(self, context: AttentionContext) -> Tensor:
        query, key = context.query_index + self.first, context.key_index + self.first
        return self.rule(replace(context, query_index=query, key_index=key))


def shifted(rule: AttentionRule, first: int) -> AttentionRule:
    """`rule`, made for a longer batch, for the sequences of it that begin at flat position `first`."""
    if isinstance(rule, Both):
        return Both(shifted(rule.first, first), shifted(rule.second, first))
    looks_at_places_only = rule is bidirectional or rule is causal or isinstance(rule, Window)
    return rule if first == 0 or looks_at_places_only else Shifted(rule, first)
