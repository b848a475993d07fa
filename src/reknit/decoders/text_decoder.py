"""A decoder that writes a text from left to right while it looks at what an encoder made of another: training only."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from reknit.data.batch import positions_of
from reknit.decoders.initial_weights import check_fits, draw_like_bert
from reknit.encoders.attention.dropout import Dropout
from reknit.encoders.native.config import default_heads


class TextDecoder(nn.Module):
    """`depth` layers of causal attention over the text so far and attention to the encoder's states (Vaswani et al.
    2017), in the post-norm form of BART (Lewis et al. 2020): BERT's widths, learned positions, the encoder's own table.
    """

    def __init__(self, dim: int, depth: int, *, max_positions: int, dropout: float) -> None:
        super().__init__()
        self.positions = nn.Embedding(max_positions, dim)
        self.norm = nn.LayerNorm(dim, eps=1e-12)
        self.dropout = Dropout(dropout)
        self.layers = nn.ModuleList(
            nn.TransformerDecoderLayer(
                dim, default_heads(dim), 4 * dim, dropout, activation=functional.gelu, batch_first=True
            )
            for _ in range(depth)
        )
        draw_like_bert(self.modules())
        for module in self.modules():
            if isinstance(module, nn.MultiheadAttention):
                nn.init.normal_(module.in_proj_weight, std=0.02)

    def forward(
        self, tokens: Tensor, cu_seqlens: Tensor, table: Tensor, memory: Tensor, memory_seqlens: Tensor
    ) -> Tensor:
        """What stands at each place knows its own token, those before it and all of its text's memory.

        tokens, cu_seqlens: [T] and [N + 1], the texts. table: [V, dim], their embeddings. memory, memory_seqlens:
        [K, dim] and [N + 1], the encoder's states for each text. Returns [T, dim]. Raises ReknitError for a text longer
        than the position table.
        """
        if tokens.numel() == 0:
            return memory[:0]
        check_fits(cu_seqlens, self.positions, "decoder")
        embedded = functional.embedding(tokens, table) + self.positions(positions_of(cu_seqlens))
        written, is_text = padded(self.dropout(self.norm(embedded)), cu_seqlens)
        remembered, is_memory = padded(memory, memory_seqlens)
        # Padding lies behind a text, where causal attention does not look.
        later = torch.ones(written.shape[1], written.shape[1], dtype=torch.bool, device=tokens.device).triu(1)
        for layer in self.layers:
            written = layer(written, remembered, tgt_mask=later, memory_key_padding_mask=~is_memory, tgt_is_causal=True)
        return written[is_text]


def padded(packed: Tensor, cu_seqlens: Tensor) -> tuple[Tensor, Tensor]:
    """[T, ...] packed rows -> [N, L, ...], sequences padded by any other row, and [N, L] bool, what is no padding."""
    lengths = cu_seqlens.diff()
    places = torch.arange(int(lengths.max()), device=packed.device)
    rows = (cu_seqlens[:-1, None] + places).clamp(max=packed.shape[0] - 1)
    return packed[rows], places < lengths[:, None]
