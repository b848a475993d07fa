"""Vectors of a tokenizer's pieces in the space of word vectors: each is the mean of the words that contain it."""

from __future__ import annotations

import numpy as np

from reknit.tokenizers.tokenizer import Tokenizer
from reknit.vocabulary.word_vectors import WordVectors

_LONGEST_WORD = 512  # pieces of a word at most, special tokens included


def subword_vectors(tokenizer: Tokenizer, words: WordVectors) -> np.ndarray:
    """[vocabulary, dim]: the mean of the vectors of the words that a piece is in, weighted by how often they occur.

    A word is cut as it stands and with a space before it, as a byte-level tokenizer cuts it inside a sentence; a piece
    counts once for each. Zeros for special tokens and for a piece that no known word contains.
    """
    from scipy.sparse import csr_matrix

    written = list(words.written)
    rows = np.array([words.row_of[word.lower()] for word in written], dtype=np.int64)
    counts = np.array([words.written[word] for word in written], dtype=np.float64)
    pieces, owners = [], []
    for prefix in ("", " "):
        for number, cut in enumerate(tokenizer.encode_batch([prefix + word for word in written], _LONGEST_WORD)):
            found = np.unique(cut.tokens)
            found = found[~tokenizer.is_special[found]]
            pieces.append(found)
            owners.append(np.full(len(found), number))
    piece, owner = np.concatenate(pieces), np.concatenate(owners)
    size = (tokenizer.vocabulary.size, len(words.words))
    held = csr_matrix((counts[owner], (piece, rows[owner])), shape=size)
    total = np.asarray(held.sum(axis=1)).ravel()
    means: np.ndarray = (held @ words.vectors) / np.where(total > 0, total, 1.0)[:, None]
    return means
