"""Static word vectors trained on the user's own texts: the words that occur near each word, reduced to a few
dimensions.

The counts of words within a window become positive pointwise mutual information, smoothed and factorised as Levy,
Goldberg and Dagan ("Improving distributional similarity with lessons learned from word embeddings", TACL 2015) found to
be as good as skip-gram. Latent semantic analysis (`encoders/native/latent_semantic.py`) is another matrix, tokens by
texts, whose neighbours share a topic and not a meaning; the two have only scikit-learn's decomposition in common.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import regex

from reknit.errors import ReknitError
from reknit.ranges import PositiveInt

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

MAX_WORDS_READ = 3_000_000  # tokens of text: beyond, the vectors of the usual words hardly change
_WORD = regex.compile(r"[\p{L}\p{M}\p{N}]+|[^\s\p{L}\p{M}\p{N}]")
_SMOOTHING = 0.75  # of the counts of contexts, so that rare ones do not win (as skip-gram's negatives)
_SOLID = 1e-9  # of the largest singular value: below, a direction is rounding
_AT_ONCE = 2_000_000  # pairs of neighbours counted in memory at once


@dataclass(frozen=True)
class WordVectorSpec:
    """How static word vectors are trained."""

    dim: PositiveInt = 300
    """Width of a word's vector."""
    window: PositiveInt = 5
    """Words to either side of a word that count as its neighbours, nearer ones more."""
    min_count: PositiveInt = 2
    """Occurrences that a word needs to be factorised; rarer words get vectors from their neighbouring words."""
    max_words: PositiveInt = 50_000
    """Words that are factorised, at most: the most frequent ones. As many rarer words get vectors too."""


@dataclass(frozen=True)
class WordVectors:
    """Words in lower case and their vectors.

    words: most frequent first; the first `shaping` of them shape the space. vectors: [W, dim] float64, rows of length
    1, or 0 for a word without a neighbour. written: {a word as it was written: how often}; its vector is that of its
    lower case.
    """

    words: tuple[str, ...]
    shaping: int
    vectors: np.ndarray
    written: dict[str, int]

    @cached_property
    def row_of(self) -> dict[str, int]:
        """{word: its row}."""
        return {word: row for row, word in enumerate(self.words)}

    def turned(self, turn: np.ndarray) -> WordVectors:
        """The same words with their vectors multiplied by `turn` [dim, dim]."""
        return replace(self, vectors=self.vectors @ turn)


def split_words(text: str) -> list[str]:
    """The words of a text as they are written: runs of letters and digits; any other character but white space is one
    too, so that the parts of an identifier are words."""
    words: list[str] = _WORD.findall(text)
    return words


def train_word_vectors(texts: Iterable[str], spec: WordVectorSpec, seed: int) -> WordVectors:
    """Vectors of the words of `texts`, which are read once, up to MAX_WORDS_READ words.

    Raises ReknitError when no word occurs `spec.min_count` times.
    """
    written: Counter[str] = Counter()
    numbers: dict[str, int] = {}
    stream: list[np.ndarray] = []
    read = 0
    for text in texts:
        words = split_words(text)
        written.update(words)
        stream.append(np.array([numbers.setdefault(word.lower(), len(numbers)) for word in words], dtype=np.int64))
        read += len(words)
        if read >= MAX_WORDS_READ:
            break
    counts = np.bincount(np.concatenate(stream), minlength=len(numbers)) if numbers else np.zeros(0, dtype=np.int64)
    # Words of equal frequency in the order of the alphabet: the order of the texts is not theirs.
    every = list(numbers)
    order = sorted(range(len(every)), key=lambda number: (-counts[number], every[number]))[: 2 * spec.max_words]
    shaping = min(int((counts >= spec.min_count).sum()), spec.max_words)
    if not shaping:
        raise ReknitError(
            f"no word occurs {spec.min_count} times in the {read} words of the texts, so there are no word vectors: "
            "give more text"
        )
    rows = np.full(len(numbers), -1, dtype=np.int64)
    rows[order] = np.arange(len(order))
    near = count_neighbours([rows[text] for text in stream], len(order), spec.window)
    kept_words = tuple(every[number] for number in order)
    known = set(kept_words)
    kept = {word: count for word, count in sorted(written.items()) if word.lower() in known}
    return WordVectors(kept_words, shaping, _factorised(near[:, :shaping], spec.dim, seed), kept)


def count_neighbours(texts: list[np.ndarray], words: int, window: int) -> csr_matrix:
    """[words, words] sparse counts of how often two words are near one another, weighted by how near.

    texts: numbers of words, -1 for words that are left out and keep their place. A word at distance d counts
    (window + 1 - d) / window, as word2vec's random windows do on average.
    """
    from scipy.sparse import coo_matrix, csr_matrix

    gap = np.full(window, -1, dtype=np.int64)
    line = np.concatenate([part for text in texts for part in (text, gap)])
    total = csr_matrix((words, words), dtype=np.float64)
    for distance in range(1, window + 1):
        for first in range(0, len(line) - distance, _AT_ONCE):
            left = line[first : min(first + _AT_ONCE, len(line) - distance)]
            right = line[first + distance : first + distance + len(left)]
            both = (left >= 0) & (right >= 0)
            weights = np.full(int(both.sum()), (window + 1 - distance) / window)
            total = total + coo_matrix((weights, (left[both], right[both])), shape=(words, words)).tocsr()
    return (total + total.T).tocsr()


def _factorised(near: csr_matrix, dim: int, seed: int) -> np.ndarray:
    """[words, dim] rows of length 1 from [words, contexts] counts, the contexts being the first words: these are
    factorised, and all words are placed by their contexts (as texts are "folded in", Deerwester et al. 1990). Zeros for
    a word without any neighbour."""
    from sklearn.utils.extmath import randomized_svd

    information = positive_information(near)
    vectors = np.zeros((near.shape[0], dim))
    found = min(dim, near.shape[1])
    shaping = information[: near.shape[1]]
    if shaping.nnz:
        # scikit-learn takes 32 bits.
        small = int(np.random.SeedSequence(seed).generate_state(1)[0])
        _, sizes, right = randomized_svd(shaping, found, n_iter=4, random_state=small)
        solid = sizes > _SOLID * sizes[0]
        vectors[:, :found][:, solid] = (information @ right[solid].T) / np.sqrt(sizes[solid])
    return unit_rows(vectors)


def positive_information(near: csr_matrix) -> csr_matrix:
    """[words, contexts] sparse max(0, log p(word, context) / (p(word) p(context))) of counts, contexts smoothed."""
    words, contexts = (np.asarray(near.sum(axis=axis)).ravel() for axis in (1, 0))
    contexts = contexts**_SMOOTHING
    found = near.tocoo()
    if not found.nnz:
        return near.tocsr()
    expected = words[found.row] * (contexts / contexts.sum())[found.col]
    found.data = np.maximum(np.log(found.data / expected), 0.0)
    found = found.tocsr()
    found.eliminate_zeros()
    return found


def unit_rows(vectors: np.ndarray) -> np.ndarray:
    """[n, dim] -> rows of length 1; zeros stay zeros."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(lengths > 0, lengths, 1.0)
