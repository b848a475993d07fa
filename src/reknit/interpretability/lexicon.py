"""The words of tokenised texts, as features are described by them."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from reknit.data.batch import Batch, segments_of
from reknit.sources.token_store import TokenStore
from reknit.tokenizers.tokenizer import Tokenizer

LEAST_OCCURRENCES = 5
_TEXTS_AT_A_TIME = 256


class Words(NamedTuple):
    """The W words of a batch of T tokens, in order.

    numbers: [W] int64 in the lexicon, as many as that has words for one that it does not have. sequences: [W] int64,
    the sequence that each is in. word_of_token: [T] int64, place of each token's word among the W; -1 for special
    tokens.
    """

    numbers: Tensor
    sequences: Tensor
    word_of_token: Tensor


class Lexicon:
    """Numbers for words: runs of tokens from one word start to the next, decoded, in lower case. Special tokens are
    none.

    words: those that occur at least five times in the texts it is made of.
    """

    def __init__(self, tokenizer: Tokenizer, tokens: TokenStore, texts: int) -> None:
        """Of the first `texts` texts of the store."""
        self._tokenizer = tokenizer
        self._decoded: dict[bytes, str] = {}
        counts: Counter[str] = Counter()
        for first in range(0, texts, _TEXTS_AT_A_TIME):
            counts.update(self.words_of(tokens.batch(np.arange(first, min(first + _TEXTS_AT_A_TIME, texts)))))
        self.words = sorted(word for word, count in counts.items() if count >= LEAST_OCCURRENCES and word)
        self._numbers = {word: number for number, word in enumerate(self.words)}

    def read(self, batch: Batch) -> Words:
        """The words of a batch, by number."""
        found = [self._numbers.get(word, len(self.words)) for word in self.words_of(batch)]
        starts = batch.word_starts.nonzero().squeeze(1)
        kept = ~batch.special[starts]
        # Of each run of tokens, those of special tokens included.
        places = (kept.cumsum(0) - 1).masked_fill(~kept, -1)
        word_of_token = places[batch.word_starts.cumsum(0) - 1]
        sequences = segments_of(batch.cu_seqlens)[starts[kept]]
        return Words(torch.tensor(found, dtype=torch.int64), sequences, word_of_token)

    def words_of(self, batch: Batch) -> list[str]:
        """The words of a batch in order, as texts."""
        starts = np.flatnonzero(batch.word_starts.numpy())
        pieces = np.split(batch.tokens.numpy(), starts[1:]) if len(starts) else []
        special = batch.special.numpy()[starts]
        return [self._text(piece) for piece, skipped in zip(pieces, special, strict=True) if not skipped]

    def _text(self, piece: np.ndarray) -> str:
        key = piece.tobytes()
        if key not in self._decoded:
            self._decoded[key] = self._tokenizer.decode(piece).strip().lower()
        return self._decoded[key]
