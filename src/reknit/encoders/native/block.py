"""One layer of a packed transformer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from torch import Tensor, nn

from reknit.data.attention_rules import AttentionRule
from reknit.encoders.attention.dropout import Dropout
from reknit.encoders.attention.layout import AttentionLayout
from reknit.encoders.attention.rotation import Rotation
from reknit.encoders.mixers.base import Mixer
from reknit.encoders.native.config import ACTIVATIONS, NativeConfig

Activation = Literal["none", "gelu"]
TapName = Literal["heads", "mlp_in", "mlp_out", "states"]


def layer_norm(config: NativeConfig) -> nn.LayerNorm:
    """A norm over the width, with the settings of `config`."""
    return nn.LayerNorm(config.dim, eps=config.norm_epsilon, bias=config.norm_bias)


class TransformerBlock(nn.Module):
    """One layer: a mixer and a feed-forward network, each with a residual connection and a norm.

    The projections into the mixer and out of it are named after attention, the first mixer.
    """

    def __init__(self, config: NativeConfig, layer: int, mixer: Mixer) -> None:
        super().__init__()
        self.heads = config.heads
        self.pre_norm = config.pre_norm
        self.gated = config.gated
        self.activation = ACTIVATIONS[config.activation]
        widened = config.intermediate * (2 if config.gated else 1)
        self.query_key_value = nn.Linear(config.dim, mixer.projected, bias=config.attention_bias)
        self.mixer = mixer
        self.attention_output = nn.Linear(mixer.mixed, config.dim, bias=config.attention_bias)
        # ModernBERT norms the embeddings and then not again before its first attention.
        skip_norm = config.pre_norm and config.embedding_norm and layer == 0
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
            hidden = hidden + self.dropout(self._mixed(self.attention_norm(hidden), layout, rule, rotation))
            pre_normed: Tensor = hidden + self.dropout(self._feed_forward(self.feed_forward_norm(hidden)))
            return pre_normed
        hidden = self.attention_norm(hidden + self.dropout(self._mixed(hidden, layout, rule, rotation)))
        post_normed: Tensor = self.feed_forward_norm(hidden + self.dropout(self._feed_forward(hidden)))
        return post_normed

    def replace_linear_layers(self, make: Callable[[nn.Linear, Activation], nn.Module]) -> None:
        """Put `make(layer, activation)` in the place of each of the block's own linear layers, for inference.

        What is made computes the activation too, which the block then leaves out; it is "gelu" for at most one layer.
        A layer that somebody has replaced before, by something else than a linear layer, stays.
        """
        plain_gelu = self.activation is nn.functional.gelu and not self.gated
        for name in ("query_key_value", "attention_output", "up", "down"):
            layer = getattr(self, name)
            if type(layer) is not nn.Linear:
                continue
            fused: Activation = "gelu" if name == "up" and plain_gelu else "none"
            setattr(self, name, make(layer, fused))
            if fused != "none":
                self.activation = nn.Identity()

    @property
    def taps(self) -> dict[TapName, tuple[nn.Module, Literal["in", "out"]]]:
        """The module at each named place (`encoders/native/taps.py`), and whether the place is before or behind it."""
        return {
            "heads": (self.attention_output, "in"),
            "mlp_in": (self.up, "in"),
            "mlp_out": (self.down, "out"),
            "states": (self, "out"),
        }

    def _mixed(self, hidden: Tensor, layout: AttentionLayout, rule: AttentionRule, rotation: Rotation | None) -> Tensor:
        mixed: Tensor = self.attention_output(self.mixer(self.query_key_value(hidden), layout, rule, rotation))
        return mixed

    def _feed_forward(self, hidden: Tensor) -> Tensor:
        widened = self.up(hidden)
        if self.gated:
            values, gate = widened.chunk(2, dim=-1)
            gated: Tensor = self.down(self.activation(values) * gate)
            return gated
        narrowed: Tensor = self.down(self.activation(widened))
        return narrowed
