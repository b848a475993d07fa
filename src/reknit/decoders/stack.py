"""A few transformer layers over packed states, for training only: decoders, generators, branches."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from reknit.data.attention_rules import AttentionRule, bidirectional
from reknit.decoders.initial_weights import draw_like_bert
from reknit.encoders.attention.layout import AttentionLayout
from reknit.encoders.mixers.attention import SelfAttention
from reknit.encoders.native.block import TransformerBlock
from reknit.encoders.native.config import NativeConfig


class TransformerStack(nn.Module):
    """`depth` post-norm layers of BERT's form; positions are in what comes in."""

    def __init__(self, dim: int, depth: int, heads: int, *, intermediate: int, dropout: float = 0.1) -> None:
        super().__init__()
        config = NativeConfig(
            vocabulary=1,
            dim=dim,
            depth=depth,
            heads=heads,
            intermediate=intermediate,
            max_positions=1,
            dropout=dropout,
        )
        self.blocks = nn.ModuleList(
            TransformerBlock(config, layer, SelfAttention(dim, heads, layer, dropout)) for layer in range(depth)
        )
        draw_like_bert(self.modules())

    def forward(
        self, hidden: Tensor, cu_seqlens: Tensor, rules: AttentionRule | Sequence[AttentionRule] = bidirectional
    ) -> Tensor:
        """[T, dim] packed states -> [T, dim]. rules: one for all layers, or one each."""
        layout = AttentionLayout.of(cu_seqlens)
        of_layer = rules if isinstance(rules, Sequence) else [rules] * len(self.blocks)
        for block, rule in zip(self.blocks, of_layer, strict=True):
            hidden = block(hidden, layout, rule, None)
        return hidden
