"""BERT's language-model head without its last matrix, which is the encoder's own embedding table."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from reknit.decoders.initial_weights import draw_like_bert


class LanguageModelHead(nn.Module):
    """Dense, GELU, layer norm; logits are `forward(states) @ table.T + bias` (Devlin et al. 2019).

    The table stays with the encoder, and the logits are made inside the losses, chunk by chunk. width: of the table,
    where it is another than that of the states.
    """

    def __init__(self, dim: int, vocabulary: int, width: int | None = None) -> None:
        super().__init__()
        self.dense = nn.Linear(dim, width or dim)
        self.norm = nn.LayerNorm(width or dim, eps=1e-12)
        self.bias = nn.Parameter(torch.zeros(vocabulary))
        draw_like_bert((self.dense,))

    def forward(self, states: Tensor) -> Tensor:
        """[P, dim] hidden states -> [P, width], ready for the product with the table."""
        transformed: Tensor = self.norm(functional.gelu(self.dense(states)))
        return transformed


class SlicedLanguageModelHead(LanguageModelHead):
    """The same head for states cut to their first d dimensions: the dense layer's first d columns read them, so that
    its output is of full width again, and meets the table, at every d (Starbucks, Zhuang et al. 2024)."""

    def forward(self, states: Tensor) -> Tensor:
        """[P, d] hidden states, d up to dim -> [P, width], ready for the product with the table."""
        read = functional.linear(states, self.dense.weight[:, : states.shape[1]], self.dense.bias)
        transformed: Tensor = self.norm(functional.gelu(read))
        return transformed


class TiedBias(nn.Module):
    """No layer at all between the states and the encoder's table, only the bias (BART, Lewis et al. 2020)."""

    def __init__(self, vocabulary: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(vocabulary))

    def forward(self, states: Tensor) -> Tensor:
        return states
