"""A token in the middle of a text through which alone its second half learns of its first."""

from __future__ import annotations

import torch

from reknit.corruptions.masking import ordinary_tokens
from reknit.data.attention_rules import BehindBottleneck, Both, causal
from reknit.data.batch import Batch, View, positions_of, segments_of
from reknit.data.shard import for_whole_batch
from reknit.errors import ReknitError


@for_whole_batch
def insert_bottleneck(batch: Batch, rng: torch.Generator) -> View:
    """Each text with one more closing token at a random position after its first token and before its last.

    The tokens after it attend to it and to each other, not to those before it; attention is causal (GEM, Zhang et al.
    2025). The ordinary tokens after it are predicted. The tokens of a text are those of the batch, so token t of the
    view, where it stands behind the inserted one of text n (from 0), is token t - n - 1 there. A text of fewer than
    three tokens has it at its end and no predictions. rng: a CPU generator; one random number for each token. Raises
    ReknitError for a tokenizer without a closing token.
    """
    if batch.vocabulary.sep < 0:
        raise ReknitError(
            "this tokenizer adds no token at the end of a text, which this recipe needs as a bottleneck: choose "
            "another tokenizer"
        )
    lengths = batch.cu_seqlens.diff()
    draws = torch.rand(batch.num_tokens + 1, generator=rng).to(batch.tokens.device)[batch.cu_seqlens[:-1]]
    # From place 1 up to the place of the last token; the closing one at least stands behind it.
    places = torch.minimum(1 + (draws * (lengths - 1)).long(), lengths - 1).clamp(min=0)
    places = torch.where(lengths < 3, lengths, places)
    cu_seqlens = batch.cu_seqlens + torch.arange(batch.num_sequences + 1, device=batch.tokens.device)
    texts, place = segments_of(cu_seqlens), positions_of(cu_seqlens)
    side = (place > places[texts]).long() - (place < places[texts]).long()  # -1 before, 0 itself, 1 behind
    source = batch.cu_seqlens[:-1][texts] + place - (side > 0).long()
    inserted = side == 0
    source = source.masked_fill(inserted, 0)
    tokens = batch.tokens[source].masked_fill(inserted, batch.vocabulary.sep)
    asked = (side > 0) & ordinary_tokens(batch)[source]
    nothing = torch.zeros_like(asked)
    return View(tokens, cu_seqlens, tokens, asked, nothing, Both(causal, BehindBottleneck(side)))
