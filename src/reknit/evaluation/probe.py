"""The retrieval probe: how it is asked, its run while a model trains, and what is chosen by it without labels."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import islice

from reknit.data.retrieval_set import RetrievalSet
from reknit.data.text.words import UNSPACED
from reknit.evaluation.metrics import mean, per_query
from reknit.evaluation.retrieval import dense_search
from reknit.models.encode_texts import EncodeTexts
from reknit.retrieval.bm25 import BM25

_SHARED_LEFT_OUT = 0.5
_PIECE = re.compile(f"[{UNSPACED}]{{1,2}}|[^\\s{UNSPACED}]+")


def with_fewer_shared_words(query: str, text: str, bm25: BM25, rng: random.Random) -> str:
    """The query without a random half of the words that BM25 would find the text by; one of them stays where nothing
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


def drop_shared_words(collection: RetrievalSet) -> RetrievalSet:
    """The collection with `with_fewer_shared_words` done to every query, always in the same way."""
    bm25 = BM25(collection.documents, split_identifiers=False)
    queries = {}
    for name, query in collection.queries.items():
        answers = [collection.documents[document] for document, grade in collection.qrels[name].items() if grade > 0]
        queries[name] = with_fewer_shared_words(query, " ".join(answers), bm25, random.Random(f"shared {name}"))
    note = "half of the words that a query shares with its answer are left out of it"
    return replace(collection, queries=queries, notes=(*collection.notes, note))


def shape_like(collection: RetrievalSet, queries: Sequence[str]) -> RetrievalSet:
    """The collection with its queries cut to the lengths of `queries`, drawn at random for each, always in the same
    way.

    People ask in two words where a sentence has twenty. Of the words that are kept, which are drawn at random and keep
    their order, as many are stop words as in `queries`.
    """
    bm25 = BM25(collection.documents, split_identifiers=False)
    real = [query.split() for query in queries]
    silent = sum(not bm25.words(word) for words in real for word in words) / sum(map(len, real))
    shaped = {}
    for name, query in collection.queries.items():
        rng, pieces = random.Random(f"shape {name}"), query.split()
        length = len(rng.choice(real))
        if length < len(pieces):
            telling = [place for place, piece in enumerate(pieces) if bm25.words(piece)]
            others = [place for place in range(len(pieces)) if place not in set(telling)]
            rng.shuffle(telling)
            rng.shuffle(others)
            wanted = max(1, round((1 - silent) * length))
            kept = (telling[:wanted] + others + telling[wanted:])[:length]
            query = " ".join(pieces[place] for place in sorted(kept))
        shaped[name] = query
    note = "queries are cut to the lengths of those that users asked"
    return replace(collection, queries=shaped, notes=(*collection.notes, note))


def subsample(collection: RetrievalSet, *, documents: int, queries: int | None = None) -> RetrievalSet:
    """The collection with the first `queries` queries, None for all, and at most `documents` documents: all that are
    relevant for these queries, then others, evenly spaced: a corpus may be in order of its folders."""
    asked = dict(islice(collection.queries.items(), queries))
    qrels = {query: collection.qrels[query] for query in asked}
    relevant = {document for grades in qrels.values() for document, grade in grades.items() if grade > 0}
    others = [document for document in collection.documents if document not in relevant]
    spare = min(max(0, documents - len(relevant)), len(others))
    kept = relevant.union(others[place * len(others) // spare] for place in range(spare))
    texts = {document: text for document, text in collection.documents.items() if document in kept}
    return RetrievalSet(collection.name, texts, asked, qrels, collection.notes)


def retrieval_probe(collection: RetrievalSet, encode: EncodeTexts) -> Callable[[], dict[str, float]]:
    """A function that scores `encode` as it is at the time of the call: {metric: mean over queries}."""

    def probe() -> dict[str, float]:
        values = per_query(dense_search(collection, encode), collection.qrels)
        return {name: mean(of_queries) for name, of_queries in values.items()}

    return probe
