"""Naive twins of the tokenizer transfer: loops over words, pieces and rows."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np

from reknit.tokenizers.tokenizer import Tokenizer
from reknit.vocabulary.word_vectors import WordVectors


def count_neighbours(texts: Sequence[Sequence[int]], words: int, window: int) -> np.ndarray:
    """[words, words]; a word at distance d counts (window + 1 - d) / window for either of the two."""
    total = np.zeros((words, words))
    for text in texts:
        for place, word in enumerate(text):
            for other in range(len(text)):
                distance = abs(place - other)
                if 1 <= distance <= window and word >= 0 and text[other] >= 0:
                    total[word, text[other]] += (window + 1 - distance) / window
    return total


def positive_information(near: np.ndarray, smoothing: float = 0.75) -> np.ndarray:
    """[words, contexts] max(0, log p(a, b) / (p(a) p'(b))), p' smoothed."""
    total = near.sum()
    contexts = [column.sum() ** smoothing for column in near.T]
    found = np.zeros_like(near)
    for a in range(len(near)):
        for b in range(near.shape[1]):
            if near[a, b] > 0:
                joint, alone, context = near[a, b] / total, near[a].sum() / total, contexts[b] / sum(contexts)
                found[a, b] = max(0.0, math.log(joint / (alone * context)))
    return found


def mutual_best(sentences: Sequence[tuple[set[str], set[str]]]) -> set[tuple[str, str]]:
    """Pairs of words that are each other's best by Dice, of those that share two sentences or more."""
    left = Counter(word for side, _ in sentences for word in side)
    right = Counter(word for _, side in sentences for word in side)

    def dice(a: str, b: str) -> float:
        both = sum(a in one and b in other for one, other in sentences)
        return 2 * both / (left[a] + right[b]) if both >= 2 else 0.0

    best_right = {a: max(sorted(right), key=lambda b: dice(a, b)) for a in left}
    best_left = {b: max(sorted(left), key=lambda a: dice(a, b)) for b in right}
    return {(a, b) for a, b in best_right.items() if best_left[b] == a and dice(a, b) > 0}


def subword_vectors(tokenizer: Tokenizer, words: WordVectors) -> np.ndarray:
    """[vocabulary, dim] means of the words that a piece is in, as it stands and after a space."""
    total = np.zeros((tokenizer.vocabulary.size, words.vectors.shape[1]))
    counted = np.zeros(tokenizer.vocabulary.size)
    for word, count in words.written.items():
        vector = words.vectors[words.words.index(word.lower())]
        for written in (word, f" {word}"):
            pieces = tokenizer.hf.encode(written, add_special_tokens=False)
            for piece in set(pieces):
                if not tokenizer.is_special[piece]:
                    total[piece] += count * vector
                    counted[piece] += count
    return np.array([row / count if count else row for row, count in zip(total, counted, strict=True)])


def nearest_rows(
    rows: np.ndarray, old: np.ndarray, new: np.ndarray, neighbours: int, temperature: float
) -> tuple[np.ndarray, np.ndarray]:
    """Means of the rows of the nearest old tokens, a token at a time."""
    made, could = np.zeros((len(new), rows.shape[1])), np.zeros(len(new), dtype=bool)
    for token, vector in enumerate(new):
        cosines = {
            number: float(vector @ other / np.linalg.norm(vector) / np.linalg.norm(other))
            for number, other in enumerate(old)
            if other.any() and vector.any()
        }
        nearest = sorted(cosines, key=lambda number: -cosines[number])[:neighbours]
        total = sum(math.exp(cosines[number] / temperature) for number in nearest)
        for number in nearest:
            made[token] += rows[number] * math.exp(cosines[number] / temperature) / total
        could[token] = bool(nearest)
    return made, could
