"""The retrieval probe: how it is asked, its run while a model trains, and what is chosen by it without labels."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from reknit.data.retrieval_set import RetrievalSet
from reknit.data.words import UNSPACED
from reknit.evaluation.bm25 import BM25
from reknit.evaluation.fusion import EQUAL_PARTS
from reknit.evaluation.hybrid import HYBRID_WEIGHTS, candidates, values_by_weight
from reknit.evaluation.metrics import mean, per_query
from reknit.evaluation.retrieval import Encode, dense_search, vectors_of
from reknit.evaluation.significance import nearest_as_good

_SHARED_LEFT_OUT = 0.5
_PIECE = re.compile(f"[{UNSPACED}]{{1,2}}|[^\\s{UNSPACED}]+")


def with_fewer_shared_words(query: str, text: str, bm25: BM25, rng: random.Random) -> str:
    """The query without half of the words, by chance, that BM25 would find the text by; one of them stays where nothing
    would be left to search for. In scripts without spaces two characters count as a word.

    What is cut out of a document shares more words with the rest of it than a user's question does, and a docstring
    shares them with its identifiers. Whole, such a query makes BM25 look better than it is for users, and does not see
    what a model has learnt of texts that say the same in other words (docs/adaptation.md).
    """
    shared = set(bm25.words(text))
    pieces = [(piece, bm25.words(piece[0])) for piece in _PIECE.finditer(query)]
    dropped = [piece for piece, words in pieces if shared.intersection(words) and rng.random() < _SHARED_LEFT_OUT]
    if dropped and len(dropped) == sum(bool(words) for _, words in pieces):
        dropped.remove(rng.choice(dropped))
    left, end = [], 0
    for piece in dropped:
        left.append(query[end : piece.start()])
        end = piece.end()
    return " ".join("".join([*left, query[end:]]).split()) if dropped else query


def thinned(collection: RetrievalSet) -> RetrievalSet:
    """The collection with `with_fewer_shared_words` done to every query, always in the same way."""
    bm25 = BM25(collection.documents, split_identifiers=False)
    queries = {}
    for name, query in collection.queries.items():
        answers = [collection.documents[document] for document, grade in collection.qrels[name].items() if grade > 0]
        queries[name] = with_fewer_shared_words(query, " ".join(answers), bm25, random.Random(f"shared {name}"))
    note = "half of the words that a query shares with its answer are left out of it"
    return replace(collection, queries=queries, notes=(*collection.notes, note))


def smaller(collection: RetrievalSet, documents: int) -> RetrievalSet:
    """The collection with at most `documents` documents: all relevant ones, then the first others."""
    relevant = {document for grades in collection.qrels.values() for document, grade in grades.items() if grade > 0}
    others = [document for document in collection.documents if document not in relevant]
    kept = relevant.union(others[: max(0, documents - len(relevant))])
    texts = {document: text for document, text in collection.documents.items() if document in kept}
    return RetrievalSet(collection.name, texts, collection.queries, collection.qrels, collection.notes)


def retrieval_probe(collection: RetrievalSet, encode: Encode) -> Callable[[], dict[str, float]]:
    """A function that scores `encode` as it is at the time of the call: {metric: mean over queries}."""

    def probe() -> dict[str, float]:
        values = per_query(dense_search(collection, encode), collection.qrels)
        return {name: mean(of_queries) for name, of_queries in values.items()}

    return probe


def hybrid_values(
    collection: RetrievalSet, encode: Encode, metric: str = "nDCG@10", *, split_identifiers: bool = False
) -> np.ndarray:
    """[weights, queries] `metric` of the hybrid at each of HYBRID_WEIGHTS.

    split_identifiers: as for `BM25`; a search of users' questions splits them.
    """
    bm25 = BM25(collection.documents, split_identifiers=split_identifiers)
    return values_by_weight(collection, *candidates(collection, bm25, *vectors_of(collection, encode)), metric)


def choose_hybrid_weight(
    collection: RetrievalSet, encode: Encode, prior: float = EQUAL_PARTS, metric: str = "nDCG@10"
) -> tuple[float, dict[float, float]]:
    """The dense ranking's weight in the hybrid (BM25 has 1 - weight), and the mean of `metric` at each that was tried.

    collection: the probe, which should be `thinned`. prior: taken where the probe does not surely say otherwise.

    Equal weights let the weaker ranking drag the stronger one down; the probe, which needs no labels, knows which is
    which. It should be as large as the collections that are searched: in a small one vectors look better than they
    are. Of the weights that are not surely worse than the best one (by two standard errors), the one nearest to the
    prior is taken, for the probe's queries are not those of users; equal parts are right for most collections.
    """
    values = hybrid_values(collection, encode, metric)
    reached = dict(zip(HYBRID_WEIGHTS, values.mean(axis=1).tolist(), strict=True))
    return nearest_as_good(HYBRID_WEIGHTS, values, prior), reached
