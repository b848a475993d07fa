"""A small masked language model that fills a text's gaps, so that another model can look for what it put there."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from reknit.data.batch import View, positions_of
from reknit.decoders.initial_weights import check_fits, draw_like_bert
from reknit.decoders.language_model_head import LanguageModelHead
from reknit.decoders.stack import TransformerStack
from reknit.encoders.attention.dropout import Dropout
from reknit.encoders.native.config import default_heads


class Generator(nn.Module):
    """ELECTRA's generator: narrow layers over the token table of the model that it helps to train (Clark et al. 2020).

    width: of the table. dim: of its own states. Its predictions are `head(states) @ table.T + head.bias`.
    """

    def __init__(
        self, width: int, dim: int, depth: int, vocabulary: int, *, max_positions: int, dropout: float
    ) -> None:
        super().__init__()
        self.positions = nn.Embedding(max_positions, width)
        self.norm = nn.LayerNorm(width, eps=1e-12)
        self.narrow = nn.Linear(width, dim)
        self.dropout = Dropout(dropout)
        self.stack = TransformerStack(dim, depth, default_heads(dim), intermediate=4 * dim, dropout=dropout)
        self.head = LanguageModelHead(dim, vocabulary, width)
        draw_like_bert((self.positions,))
        # As in the authors' code, which leaves this one to TensorFlow's default.
        nn.init.xavier_uniform_(self.narrow.weight)
        nn.init.zeros_(self.narrow.bias)

    def forward(self, view: View, table: Tensor) -> Tensor:
        """[T, dim] states of the view's tokens. Raises ReknitError for a sequence longer than its position table."""
        check_fits(view.cu_seqlens, self.positions, "generator")
        places = positions_of(view.cu_seqlens)
        embedded = self.norm(functional.embedding(view.tokens, table) + self.positions(places))
        states: Tensor = self.stack(self.narrow(self.dropout(embedded)), view.cu_seqlens)
        return states
