"""A transformer over the vectors of a document's blocks, some of which it does not see."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from reknit.data.batch import positions_of
from reknit.decoders.initial_weights import draw_like_bert
from reknit.decoders.stack import TransformerStack
from reknit.encoders.attention.dropout import Dropout
from reknit.encoders.native.config import default_heads
from reknit.errors import ReknitError


class DocumentTransformer(nn.Module):
    """What the other blocks of a text, and its place among them, say of a block (SMITH, Yang et al. 2020).

    Hidden vectors are replaced by a learned one before a place is added to each; behind the layers stands BERT's
    transformation (dense, GELU, norm), whose output is compared with the true vectors.
    """

    def __init__(self, dim: int, layers: int, *, max_blocks: int, dropout: float = 0.1) -> None:
        super().__init__()
        self.hidden_vector = nn.Parameter(torch.empty(dim))
        self.positions = nn.Embedding(max_blocks, dim)
        self.embedding_norm = nn.LayerNorm(dim, eps=1e-12)
        self.dropout = Dropout(dropout)
        self.stack = TransformerStack(dim, layers, default_heads(dim), intermediate=4 * dim, dropout=dropout)
        self.dense = nn.Linear(dim, dim)
        self.norm = nn.LayerNorm(dim, eps=1e-12)
        nn.init.normal_(self.hidden_vector, std=0.02)
        draw_like_bert((self.positions, self.dense))

    def forward(self, vectors: Tensor, cu_texts: Tensor, hidden: Tensor) -> Tensor:
        """[B, dim] vectors of the blocks of N texts -> [M, dim], a prediction of each of the M masked ones, in order.

        cu_texts: [N + 1] int64 offsets of the texts on the block axis. hidden: [B] bool, blocks that are not seen.
        Raises ReknitError for a text of more blocks than there are places.
        """
        most, places = int(cu_texts.diff().max()), self.positions.num_embeddings
        if most > places:
            raise ReknitError(
                f"a text of {most} blocks is longer than the document transformer's {places} places; raise "
                "objective.max_blocks or objective.block_tokens, or lower data.max_length"
            )
        placed = self._seen(vectors, hidden) + self.positions(positions_of(cu_texts))
        states = self.stack(self.dropout(self.embedding_norm(placed)), cu_texts)[hidden]
        predicted: Tensor = self.norm(functional.gelu(self.dense(states)))
        return predicted

    def _seen(self, vectors: Tensor, hidden: Tensor) -> Tensor:
        return torch.where(hidden[:, None], self.hidden_vector.to(vectors.dtype), vectors)
