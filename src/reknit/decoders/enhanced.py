"""RetroMAE's enhanced decoder: one layer that must lean on the sentence vector to restore every token."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from reknit.data.attention_rules import AttentionContext, AttentionRule
from reknit.data.batch import positions_of, segments_of
from reknit.decoders.initial_weights import check_fits, check_heads, draw_like_bert
from reknit.encoders.attention.dropout import Dropout
from reknit.encoders.attention.packed import AttentionLayout
from reknit.encoders.attention.rows import packed_row_attention


@dataclass(frozen=True)
class RandomContext:
    """Each row sees its own random choice of words, position 0, and never itself (Xiao et al. 2022, equation 7).

    seed: draws the choice. words: [T] int64, number of the word of each token. always: [T] bool, tokens that are never
    left out (the special tokens). hidden_ratio: probability that a row does not see a given word.

    The choice for (row, word) is a function of the seed and the two numbers (`hashed_choice`), so that nothing of size
    [T, L] is drawn or kept, a bucket's mask is made where and when it is used, and it is the same on every device.
    """

    seed: int
    words: Tensor
    always: Tensor
    hidden_ratio: float

    def __call__(self, context: AttentionContext) -> Tensor:
        # In place from here on: a mask of [b, Lq, Lk] is large, and fresh memory costs more than filling it.
        visible = hashed_choice(self.seed, context.query_index, self.words[context.key_index], 1.0 - self.hidden_ratio)
        visible |= self.always[context.key_index]
        visible &= context.key != context.query
        visible |= context.key == 0
        return visible


def hashed_choice(seed: int, rows: Tensor, columns: Tensor, probability: float) -> Tensor:
    """A bool for each pair of a row's and a column's number, True with `probability` (to 2^-31); shapes broadcast.

    rows, columns: int64 numbers from 0. The draw of a cell is the product, modulo 2^32, of an odd 32-bit hash of
    (seed, row) and one of (seed, column). Odd numbers form a group under it, so a product with a uniform odd number is
    uniform and the cells of a row, or of a column, are independent. The four cells at the corners of a rectangle are
    tied by one equation, which leaves no trace in the upper bits (tested). It is one int32 product a cell: int32
    products wrap around on every device, and the products, being odd, never meet -2^31, so 0 and 1 are exact.
    """
    # No row and no column has a negative number, so these hashes have nothing in common, nor with any (row, column).
    row_keys = _odd_int32(_hash(seed, rows, torch.full_like(rows, -2)))
    column_keys = _odd_int32(_hash(seed, torch.full_like(columns, -2), columns))
    highest = min(round(probability * 2**32) - 2**31, 2**31 - 1)
    return row_keys * column_keys <= highest


def hashed_uniform(seed: int, first: Tensor, second: Tensor) -> Tensor:
    """Uniform float32 numbers in [0, 1), one per pair of int64 numbers; shapes broadcast."""
    return ((_hash(seed, first, second) >> 40) & 0xFFFFFF).float() * 2.0**-24


def _hash(seed: int, first: Tensor, second: Tensor) -> Tensor:
    """Uniform int64 numbers, one per pair; shapes broadcast.

    The mixing steps are those of Stafford's 64-bit variant of MurmurHash3's finaliser ("Mix13", used by SplitMix64);
    int64 products wrap around, and the shifts mask out the copies of the sign bit.
    """
    return _mix(_mix(first * -7046029254386353131 + seed) + second * -4658895280553007687)


def _mix(values: Tensor) -> Tensor:
    values = (values ^ ((values >> 30) & (2**34 - 1))) * -4658895280553007687
    values = (values ^ ((values >> 27) & (2**37 - 1))) * -7723592293110705685
    return values ^ ((values >> 31) & (2**33 - 1))


def _odd_int32(values: Tensor) -> Tensor:
    """The upper half of int64 numbers, made odd. The shift keeps the sign, so nothing overflows on the way."""
    return (values >> 32).to(torch.int32) | 1


class EnhancedDecoder(nn.Module):
    """One post-norm transformer layer whose queries know only the sentence vector and their position.

    Queries are sentence vector + position at every place. Keys and values are the sentence vector at place 0 and token
    embedding + position elsewhere. The residual path starts at the query, so a row knows its own token from nowhere
    but the sentence vector and the rows it may see. The decoder owns its positions: a start model may have none.
    """

    def __init__(
        self, dim: int, heads: int, *, intermediate: int, max_positions: int = 512, dropout: float = 0.1
    ) -> None:
        super().__init__()
        check_heads(heads, dim)
        self.heads, self.dropout_probability = heads, dropout
        self.positions = nn.Embedding(max_positions, dim)
        self.embedding_norm = nn.LayerNorm(dim, eps=1e-12)
        self.query, self.key, self.value, self.output = (nn.Linear(dim, dim) for _ in range(4))
        self.attention_norm = nn.LayerNorm(dim, eps=1e-12)
        self.expand, self.contract = nn.Linear(dim, intermediate), nn.Linear(intermediate, dim)
        self.output_norm = nn.LayerNorm(dim, eps=1e-12)
        self.dropout = Dropout(dropout)
        draw_like_bert(self.modules())

    def forward(
        self,
        sentences: Tensor,
        tokens: Tensor,
        cu_seqlens: Tensor,
        table: Tensor,
        context: AttentionRule,
        rows: Tensor | None = None,
    ) -> Tensor:
        """[N, dim] sentence vectors and [T] clean tokens -> [R, dim] states to predict each row's token from.

        cu_seqlens: [N + 1]. table: [V, dim] token embeddings. rows: [R] int64 ascending flat positions wanted, all T by
        default.
        Raises ReknitError when a sequence is longer than the position table.
        """
        check_fits(cu_seqlens, self.positions, "decoder")
        if rows is None:
            rows = torch.arange(tokens.numel(), device=tokens.device)
        places, segments = positions_of(cu_seqlens), segments_of(cu_seqlens)
        contents = self._embed(functional.embedding(tokens, table) + self.positions(places))
        contents = torch.where((places == 0)[:, None], sentences.to(contents.dtype)[segments], contents)
        # What is a matter of the queries alone is computed for the rows asked for only.
        positions = self.positions(places[rows])
        queries = self._embed(sentences.to(positions.dtype)[segments[rows]] + positions)
        attended = packed_row_attention(
            self._split(self.query(queries)),
            self._split(self.key(contents)),
            self._split(self.value(contents)),
            rows,
            AttentionLayout.of(cu_seqlens),
            context,
            dropout=self.dropout_probability if self.training else 0.0,
        ).flatten(1)
        states = self.attention_norm(queries + self.dropout(self.output(attended)))
        update = self.contract(functional.gelu(self.expand(states)))
        updated: Tensor = self.output_norm(states + self.dropout(update))
        return updated

    def _embed(self, summed: Tensor) -> Tensor:
        embedded: Tensor = self.dropout(self.embedding_norm(summed))
        return embedded

    def _split(self, projected: Tensor) -> Tensor:
        heads: Tensor = projected.unflatten(1, (self.heads, -1))
        return heads
