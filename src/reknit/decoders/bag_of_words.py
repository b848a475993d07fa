"""Which tokens DupMAE's bag-of-words task pools, and which words it asks for."""

from __future__ import annotations

from torch import Tensor

from reknit.corruptions.masking import ordinary_tokens
from reknit.data.batch import Batch, segments_of


def ordinary_content(batch: Batch, wanted: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The ordinary tokens of a batch on a packed axis of their own.

    wanted: [T] bool, tokens of the texts that are used; the others are left without tokens.

    Returns their flat positions in the batch [T'], the offsets of the sequences on the new axis [N + 1] and their
    clean ids [T'], as `losses.bag_of_words` wants them. Special tokens are left out: [CLS] trains the sentence vector,
    and none of them is a word of the text.
    """
    rows = (ordinary_tokens(batch) & wanted).nonzero().squeeze(1)
    counts = batch.cu_seqlens.new_zeros(batch.num_sequences + 1)
    counts.index_add_(0, segments_of(batch.cu_seqlens)[rows] + 1, counts.new_ones(rows.numel()))
    return rows, counts.cumsum(0), batch.tokens[rows]
