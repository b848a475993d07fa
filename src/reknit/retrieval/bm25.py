"""BM25, the lexical baseline that every dense model has to beat."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from reknit.data.text.language import language_of
from reknit.data.text.words import Analyser
from reknit.errors import ReknitError
from reknit.retrieval.ranking import Rankings, top_places

# Lucene's and Elasticsearch's defaults (after Robertson et al., TREC-3): what a reader's own search engine would use.
K1 = 1.2
B = 0.75


class BM25:
    """BM25 in Lucene's variant with the stop words and the Snowball stemmer of the documents' language, by bm25s.

    Words are as `Analyser` says: identifiers are found by their parts too, unless `split_identifiers` is False. Queries
    that are cut out of documents should be asked without: a docstring shares words with the identifiers of its code as
    no user's question does, and BM25 would look better than it is (docs/adaptation.md). Nothing is tuned on judgements.
    """

    def __init__(self, documents: Mapping[str, str], *, split_identifiers: bool = True) -> None:
        """Index {document id: text}. Raises ReknitError when there are no documents."""
        import bm25s

        if not documents:
            raise ReknitError("BM25 has no documents to index: the collection is empty")
        self._ids = sorted(documents)
        language = language_of([documents[document] for document in self._ids])
        self.words = Analyser(language, split_identifiers=split_identifiers).words
        self._vocabulary: dict[str, int] = {}
        tokens = [
            [self._vocabulary.setdefault(word, len(self._vocabulary)) for word in self.words(documents[document])]
            for document in self._ids
        ]
        self._index: Any = None
        if self._vocabulary:
            self._index = bm25s.BM25(k1=K1, b=B, method="lucene", backend="numpy")
            self._index.index((tokens, self._vocabulary), create_empty_token=False, show_progress=False)

    def search(self, queries: Mapping[str, str], top: int = 100) -> Rankings:
        """The `top` documents of each query that share a word with it; equal scores are ordered by document id."""
        return {query: self._search(text, top) for query, text in queries.items()}

    def scores(self, queries: Sequence[str]) -> np.ndarray:
        """[queries, documents] float32, the documents in the order of their sorted ids; 0 where no word is shared."""
        found = np.zeros((len(queries), len(self._ids)), dtype=np.float32)
        for row, text in enumerate(queries):
            tokens = self._known(text)
            if tokens:
                found[row] = self._index.get_scores_from_ids(tokens)
        return found

    def weighted_scores(self, queries: Sequence[Mapping[str, float]]) -> np.ndarray:
        """As `scores`, of queries that are {word: its weight}, the words as `words` makes them."""
        found = np.zeros((len(queries), len(self._ids)), dtype=np.float32)
        for row, weights in enumerate(queries):
            for word, weight in weights.items():
                if word in self._vocabulary:
                    found[row] += weight * self._index.get_scores_from_ids([self._vocabulary[word]])
        return found

    def _search(self, text: str, top: int) -> dict[str, float]:
        tokens = self._known(text)
        if not tokens:
            return {}
        scores = self._index.get_scores_from_ids(tokens)
        matches = np.flatnonzero(scores > 0)
        best = matches[top_places(scores[matches], top)]
        return {self._ids[place]: float(scores[place]) for place in best}

    def _known(self, text: str) -> list[int]:
        return [self._vocabulary[word] for word in self.words(text) if word in self._vocabulary]
