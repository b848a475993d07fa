"""Self-attention, the mixer of the transformer."""

from __future__ import annotations

from torch import Tensor

from reknit.data.attention_rules import AttentionRule
from reknit.encoders.attention.layout import AttentionLayout
from reknit.encoders.attention.packed import packed_self_attention
from reknit.encoders.attention.rotation import Rotation
from reknit.encoders.mixers.base import Mixer


class SelfAttention(Mixer):
    """Scaled dot-product attention of several heads (Vaswani et al. 2017); it honours every rule."""

    def __init__(self, dim: int, heads: int, layer: int = 0, dropout: float = 0.0) -> None:
        super().__init__(dim, heads, layer, dropout)
        self.projected, self.mixed = 3 * dim, dim

    def forward(
        self, projected: Tensor, layout: AttentionLayout, rule: AttentionRule, rotation: Rotation | None
    ) -> Tensor:
        query_key_value = projected.view(projected.shape[0], 3, self.heads, self.dim // self.heads)
        if rotation is not None:
            query_key_value = rotation.apply_to(query_key_value)
        dropout = self.dropout if self.training else 0.0
        return packed_self_attention(query_key_value, layout, rule, self.layer, dropout).flatten(1)
