"""Pseudo-relevance feedback: the best hits of a first search say what else to search for.

For words by RM3 (Lavrenko and Croft, SIGIR 2001, https://doi.org/10.1145/383952.383972; interpolated with the query as
in Abdul-Jaleel et al., TREC 2004), for vectors by Rocchio's formula (1971; for dense retrieval Li et al., TOIS 2023,
https://arxiv.org/abs/2108.11044).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Feedback:
    """How much of the best hits a second search takes up; little, which did no harm where one document answers a query
    (docs/adaptation.md)."""

    hits: int = 3
    """Best hits of the first search that are taken for answers."""
    words: int = 20
    """Words that are added to a query, those that are likeliest in the hits."""
    words_share: float = 0.2
    """Of the weight of all words, that of the hits' words; the query's own words have the rest."""
    vector_weight: float = 0.2
    """Weight of the mean of the hits' vectors, beside 1 for the query's own vector; both have length 1."""


def expanded_words(query: Sequence[str], hits: Sequence[Sequence[str]], feedback: Feedback) -> dict[str, float]:
    """{word: weight} of the second search, by RM3: the words of the query, and those of the hits.

    query: its words. hits: the words of each hit; all hits count alike. The weights add up to 1, or to less where the
    query or all hits have no words.
    """
    likeliest: defaultdict[str, float] = defaultdict(float)
    for words in hits:
        for word, times in Counter(words).items():
            likeliest[word] += times / len(words) / len(hits)
    added = sorted(likeliest.items(), key=lambda item: (-item[1], item[0]))[: feedback.words]
    total = sum(weight for _, weight in added)
    weights: defaultdict[str, float] = defaultdict(float)
    for word in query:
        weights[word] += (1 - feedback.words_share) / len(query)
    for word, weight in added:
        weights[word] += feedback.words_share * weight / total
    return dict(weights)


def moved_vector(query: np.ndarray, hits: np.ndarray, feedback: Feedback) -> np.ndarray:
    """[dim] the query's vector, moved towards the mean of the [hits, dim] vectors; as long as it was.

    It stays as it is without hits, and where it or their mean has no direction.
    """
    length = float(np.linalg.norm(query))
    mean = hits.mean(axis=0) if len(hits) else np.zeros_like(query)
    reach = float(np.linalg.norm(mean))
    if not length or not reach:
        return query
    moved: np.ndarray = query / length + feedback.vector_weight * mean / reach
    return (moved * (length / max(float(np.linalg.norm(moved)), 1e-12))).astype(np.float32)
