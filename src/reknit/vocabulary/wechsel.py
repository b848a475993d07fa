"""WECHSEL (Minixhofer, Paischer and Rekabsaz, NAACL 2022): a new token's row is the weighted mean of the rows of old
tokens with a similar meaning, by static word vectors of both languages in one space."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field

import numpy as np

from reknit.ranges import PositiveFloat, PositiveInt
from reknit.vocabulary.alignment import rotation, seed_pairs
from reknit.vocabulary.subword_vectors import subword_vectors
from reknit.vocabulary.transfer import TokenizerTransfer, TransferMaterial
from reknit.vocabulary.word_vectors import WordVectorSpec, train_word_vectors, unit_rows

logger = logging.getLogger("reknit")
_AT_ONCE = 1024  # new tokens compared with all old ones in memory at once


@dataclass(frozen=True)
class Wechsel(TokenizerTransfer):
    """Softmax-weighted means of the rows of the nearest old tokens."""

    neighbours: PositiveInt = 10
    """Old tokens that the row of a new token is the mean of."""
    temperature: PositiveFloat = 0.1
    """Divides the cosines in the softmax that weighs the neighbours; lower values weigh the nearest more."""
    vectors: WordVectorSpec = field(default_factory=WordVectorSpec)
    """Static word vectors, in which the neighbours are found."""

    def combine(self, material: TransferMaterial) -> tuple[np.ndarray, np.ndarray]:
        old, new = piece_vectors(material, self.vectors)
        return nearest_rows(material.rows, old, new, self.neighbours, self.temperature)


def piece_vectors(material: TransferMaterial, spec: WordVectorSpec) -> tuple[np.ndarray, np.ndarray]:
    """[source vocabulary, dim] and [target vocabulary, dim] vectors of all tokens in one space, zeros where unknown.

    With texts of the old language the two spaces are aligned; without, both tokenizers cut the same words.

    Raises ReknitError where the texts give no vectors, or too few words to align them by.
    """
    words = train_word_vectors(material.texts(), spec, material.seed)
    if material.source_texts is None:
        old_words = words
    else:
        old_words = train_word_vectors(material.source_texts(), spec, material.seed)
        pairs = seed_pairs(old_words, words, material.translations)
        old_words = old_words.turned(rotation(old_words, words, pairs))
        logger.info(
            "word vectors: %d and %d words, aligned by %d pairs", len(old_words.words), len(words.words), len(pairs)
        )
    return subword_vectors(material.source, old_words), subword_vectors(material.target, words)


def nearest_rows(
    rows: np.ndarray, old: np.ndarray, new: np.ndarray, neighbours: int, temperature: float
) -> tuple[np.ndarray, np.ndarray]:
    """[target, dim] means of the nearest old rows, and [target] bool, whether there were any.

    rows: [source, dim] the old table. old, new: [source, d] and [target, d] vectors of the tokens; of zeros, for a
    token without one. The weights are softmax(cosine / temperature) over the nearest.
    """
    known, wanted = (np.flatnonzero(vectors.any(axis=1)) for vectors in (old, new))
    made, could = np.zeros((len(new), rows.shape[1])), np.zeros(len(new), dtype=bool)
    if not len(known) or not len(wanted):
        return made, could
    directions, table = unit_rows(old[known]), rows[known].astype(np.float64)
    count = min(neighbours, len(known))
    for some in np.array_split(wanted, len(wanted) // _AT_ONCE + 1):
        cosines = unit_rows(new[some]) @ directions.T
        nearest = np.argpartition(-cosines, count - 1, axis=1)[:, :count]
        close = np.take_along_axis(cosines, nearest, axis=1)
        weights = np.exp((close - close.max(axis=1, keepdims=True)) / temperature)
        weights /= weights.sum(axis=1, keepdims=True)
        made[some] = np.einsum("tk,tkd->td", weights, table[nearest])
    could[wanted] = True
    return made, could
