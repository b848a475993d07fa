"""BM25, the lexical baseline that every dense model has to beat."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from reknit.errors import ReknitError
from reknit.evaluation.ranking import Run, top_places

# Lucene's and Elasticsearch's defaults (after Robertson et al., TREC-3): what a reader's own search engine would use.
K1 = 1.2
B = 0.75

# Of scripts that are written without spaces: Han, kana, Thai, Lao, Burmese, Khmer.
UNSPACED = (
    "\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"
)
_WORD = re.compile(f"[{UNSPACED}]+|[^\\W{UNSPACED}]+")
_UNSPACED = re.compile(f"[{UNSPACED}]")
_PART = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|[0-9]+")


class BM25:
    """BM25 in Lucene's variant with English stop words and the Snowball English ("Porter 2") stemmer, by bm25s.

    Words are runs of letters, digits and underscores, in lower case; in scripts without spaces every two neighbouring
    characters, as Lucene's analyser for Chinese and Japanese has it. Nothing is tuned on judgements.
    split_identifiers: writeBoolean and write_boolean are also found by their parts.
    """

    def __init__(self, documents: Mapping[str, str], *, split_identifiers: bool = False) -> None:
        """Index {document id: text}. Raises ReknitError when there are no documents."""
        import bm25s
        import Stemmer
        from bm25s.stopwords import STOPWORDS_EN

        if not documents:
            raise ReknitError("BM25 has no documents to index: the collection is empty")
        self._split_identifiers = split_identifiers
        self._stem = Stemmer.Stemmer("english").stemWords
        self._stop_words = frozenset(STOPWORDS_EN)
        self._ids = sorted(documents)
        self._vocabulary: dict[str, int] = {}
        tokens = [
            [self._vocabulary.setdefault(word, len(self._vocabulary)) for word in self.words(documents[document])]
            for document in self._ids
        ]
        self._index: Any = None
        if self._vocabulary:
            self._index = bm25s.BM25(k1=K1, b=B, method="lucene", backend="numpy")
            self._index.index((tokens, self._vocabulary), create_empty_token=False, show_progress=False)

    def search(self, queries: Mapping[str, str], top: int = 100) -> Run:
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

    def words(self, text: str) -> list[str]:
        """The stems that a text is found by, in order."""
        words = [word for run in _WORD.findall(text) for word in _pairs(run)]
        if self._split_identifiers:
            words = [part for word in words for part in (word, *_parts(word))]
        return self._stem([word for word in map(str.lower, words) if word not in self._stop_words])


def _pairs(run: str) -> list[str]:
    """The overlapping pairs of characters of a run in a script without spaces; any other run is a word."""
    if len(run) < 3 or not _UNSPACED.match(run):
        return [run]
    return [run[place : place + 2] for place in range(len(run) - 1)]


def _parts(word: str) -> list[str]:
    """The words inside an identifier in camel case or with underscores; nothing for an ordinary word."""
    parts = _PART.findall(word)
    return parts if len(parts) > 1 else []
