"""BM25, the lexical baseline that every dense model has to beat."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from reknit.errors import ReknitError
from reknit.evaluation.ranking import Run, top_places

# Lucene's and Elasticsearch's defaults (after Robertson et al., TREC-3): what a reader's own search engine would use.
K1 = 1.2
B = 0.75

_WORD = re.compile(r"\w+")


class BM25:
    """BM25 in Lucene's variant with English stop words and the Snowball English ("Porter 2") stemmer, by bm25s.

    Words are runs of letters, digits and underscores, in lower case. Nothing is tuned on judgements.
    """

    def __init__(self, documents: Mapping[str, str]) -> None:
        """Index {document id: text}. Raises ReknitError when there are no documents."""
        import bm25s
        import Stemmer
        from bm25s.stopwords import STOPWORDS_EN

        if not documents:
            raise ReknitError("BM25 has no documents to index: the collection is empty")
        self._stem = Stemmer.Stemmer("english").stemWords
        self._stop_words = frozenset(STOPWORDS_EN)
        self._ids = sorted(documents)
        self._vocabulary: dict[str, int] = {}
        tokens = [
            [self._vocabulary.setdefault(word, len(self._vocabulary)) for word in self._words(documents[document])]
            for document in self._ids
        ]
        self._index: Any = None
        if self._vocabulary:
            self._index = bm25s.BM25(k1=K1, b=B, method="lucene", backend="numpy")
            self._index.index((tokens, self._vocabulary), create_empty_token=False, show_progress=False)

    def search(self, queries: Mapping[str, str], top: int = 100) -> Run:
        """The `top` documents of each query that share a word with it; equal scores are ordered by document id."""
        return {query: self._search(text, top) for query, text in queries.items()}

    def _search(self, text: str, top: int) -> dict[str, float]:
        tokens = [self._vocabulary[word] for word in self._words(text) if word in self._vocabulary]
        if not tokens:
            return {}
        scores = self._index.get_scores_from_ids(tokens)
        matches = np.flatnonzero(scores > 0)
        best = matches[top_places(scores[matches], top)]
        return {self._ids[place]: float(scores[place]) for place in best}

    def _words(self, text: str) -> list[str]:
        words = [word for word in _WORD.findall(text.lower()) if word not in self._stop_words]
        return self._stem(words)
