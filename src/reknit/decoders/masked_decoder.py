"""A decoder that fills the gaps of a text, with a sentence vector in place of its first token: training only."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from reknit.data.batch import positions_of, segments_of
from reknit.decoders.initial_weights import check_fits, check_heads, draw_like_bert
from reknit.decoders.stack import TransformerStack
from reknit.encoders.attention.dropout import Dropout
from reknit.encoders.native.config import default_heads


class MaskedDecoder(nn.Module):
    """Post-norm layers over embeddings of a masked text, the sentence vector at place 0.

    The plain decoder of masked auto-encoders of text (RetroMAE, Xiao et al. 2022, equation 3; SMAE, Zhuang et al.
    2024). The vector takes the place of the finished embedding, so neither position nor norm is added to it. The
    decoder owns its positions: a start model may have none.
    """

    def __init__(
        self,
        dim: int,
        depth: int = 1,
        heads: int | None = None,
        *,
        max_positions: int = 512,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        heads = heads or default_heads(dim)
        check_heads(heads, dim)
        self.positions = nn.Embedding(max_positions, dim)
        draw_like_bert([self.positions])
        self.embedding_norm = nn.LayerNorm(dim, eps=1e-12)
        self.dropout = Dropout(dropout)
        self.stack = TransformerStack(dim, depth, heads, intermediate=4 * dim, dropout=dropout)

    def forward(self, sentences: Tensor, tokens: Tensor, cu_seqlens: Tensor, table: Tensor) -> Tensor:
        """[N, dim] sentence vectors and [T] masked tokens -> [T, dim] states to predict the masked ones from.

        cu_seqlens: [N + 1]. table: [V, dim] token embeddings. Raises ReknitError when a sequence is longer than the
        position table.
        """
        check_fits(cu_seqlens, self.positions, "decoder")
        places = positions_of(cu_seqlens)
        embedded = self.dropout(self.embedding_norm(functional.embedding(tokens, table) + self.positions(places)))
        vectors = sentences.to(embedded.dtype)[segments_of(cu_seqlens)]
        states: Tensor = self.stack(torch.where((places == 0)[:, None], vectors, embedded), cu_seqlens)
        return states
