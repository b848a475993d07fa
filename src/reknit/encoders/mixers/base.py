"""What a block mixes the rows of a sequence with."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor, nn

from reknit.data.attention_rules import AttentionRule
from reknit.encoders.attention.layout import AttentionLayout
from reknit.encoders.attention.rotation import Rotation


class Mixer(nn.Module, ABC):
    """The part of a block in which rows learn of each other, between two projections that are the block's own.

    So every mixer has the block's projections under the same names, and adapters, packed weights and taps find them
    there. What a mixer needs besides are its own weights; self-attention has none.

    dim: width of the block. heads: number of equal parts that the mixed rows have. layer: number of the block, from 0.
    dropout: probability of whatever the mixer drops in training mode. projected: width that the block projects its
    rows to for the mixer. mixed: width of what the mixer gives back, which the block projects to `dim`.
    """

    projected: int
    mixed: int

    def __init__(self, dim: int, heads: int, layer: int = 0, dropout: float = 0.0) -> None:
        super().__init__()
        self.dim, self.heads, self.layer, self.dropout = dim, heads, layer, dropout

    @abstractmethod
    def forward(
        self, projected: Tensor, layout: AttentionLayout, rule: AttentionRule, rotation: Rotation | None
    ) -> Tensor:
        """[K, projected] -> [K, mixed], each sequence of `layout` for itself.

        rule: which row learns of which; one that `check_rule` lets pass. rotation: of rotary positions, where the
        encoder has them.
        """

    def check_rule(self, rule: AttentionRule) -> None:
        """Raise ReknitError where the mixer cannot honour the rule; it is asked before anything is computed."""

    def reset_parameters(self) -> None:
        """Draw the mixer's own weights from torch's global generator, where they are not drawn as the block's are."""
