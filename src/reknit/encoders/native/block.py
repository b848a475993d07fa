"""One layer of a packed transformer, and the rotary position embedding it may use."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from reknit.data.attention_rules import AttentionRule
from reknit.encoders.attention.dropout import Dropout
from reknit.encoders.attention.layout import AttentionLayout
from reknit.encoders.attention.packed import packed_self_attention
from reknit.encoders.native.config import ACTIVATIONS, NativeConfig


def layer_norm(config: NativeConfig) -> nn.LayerNorm:
    """A norm over the width, with the settings of `config`."""
    return nn.LayerNorm(config.dim, eps=config.norm_epsilon, bias=config.norm_bias)


class TransformerBlock(nn.Module):
    """One layer: self-attention and a feed-forward network, each with a residual connection and a norm."""

    def __init__(self, config: NativeConfig, layer: int) -> None:
        super().__init__()
        self.layer = layer
        self.heads = config.heads
        self.pre_norm = config.pre_norm
        self.gated = config.gated
        self.activation = ACTIVATIONS[config.activation]
        self.attention_dropout = config.attention_dropout
        widened = config.intermediate * (2 if config.gated else 1)
        self.query_key_value = nn.Linear(config.dim, 3 * config.dim, bias=config.attention_bias)
        self.attention_output = nn.Linear(config.dim, config.dim, bias=config.attention_bias)
        # ModernBERT norms the embeddings and then not again before its first attention.
        skip_norm = config.pre_norm and layer == 0
        self.attention_norm = nn.Identity() if skip_norm else layer_norm(config)
        self.up = nn.Linear(config.dim, widened, bias=config.feed_forward_bias)
        self.down = nn.Linear(config.intermediate, config.dim, bias=config.feed_forward_bias)
        self.feed_forward_norm = layer_norm(config)
        self.dropout = Dropout(config.dropout)

    def forward(
        self, hidden: Tensor, layout: AttentionLayout, rule: AttentionRule, rotation: Rotation | None
    ) -> Tensor:
        """[K, dim] -> [K, dim]."""
        if self.pre_norm:
            hidden = hidden + self.dropout(self._attention(self.attention_norm(hidden), layout, rule, rotation))
            return hidden + self.dropout(self._feed_forward(self.feed_forward_norm(hidden)))
        hidden = self.attention_norm(hidden + self.dropout(self._attention(hidden, layout, rule, rotation)))
        return self.feed_forward_norm(hidden + self.dropout(self._feed_forward(hidden)))

    def _attention(
        self, hidden: Tensor, layout: AttentionLayout, rule: AttentionRule, rotation: Rotation | None
    ) -> Tensor:
        projected = self.query_key_value(hidden)
        projected = projected.view(hidden.shape[0], 3, self.heads, -1)
        if rotation is not None:
            projected = rotation.apply_to(projected)
        dropout = self.attention_dropout if self.training else 0.0
        attended = packed_self_attention(projected, layout, rule, self.layer, dropout)
        return self.attention_output(attended.flatten(1))

    def _feed_forward(self, hidden: Tensor) -> Tensor:
        widened = self.up(hidden)
        if self.gated:
            values, gate = widened.chunk(2, dim=-1)
            return self.down(self.activation(values) * gate)
        return self.down(self.activation(widened))


class Rotation:
    """Rotary position embedding (Su et al. 2021, the half-split form of GPT-NeoX) for one set of places."""

    def __init__(self, positions: Tensor, head_dim: int, theta: float) -> None:
        exponents = torch.arange(0, head_dim, 2, dtype=torch.float32, device=positions.device) / head_dim
        angles = positions.float().unsqueeze(1) * (1.0 / theta**exponents)
        # [K, 1, 1, head_dim]: alike for query and key and for every head
        self._cosine = torch.cat((angles.cos(), angles.cos()), dim=1)[:, None, None]
        self._signed_sine = torch.cat((-angles.sin(), angles.sin()), dim=1)[:, None, None]

    def apply_to(self, query_key_value: Tensor) -> Tensor:
        """Rotate query and key of [K, 3, heads, head_dim], in float32, and leave the value."""
        query_key, value = query_key_value[:, :2].float(), query_key_value[:, 2:]
        swapped = query_key.roll(query_key.shape[-1] // 2, dims=-1)
        rotated = query_key * self._cosine + swapped * self._signed_sine
        return torch.cat((rotated.to(value.dtype), value), dim=1)
