"""Makes a model's query expansion from a corpus, and chooses how much of it queries get, without labels."""

from __future__ import annotations

import logging
from typing import Literal

import numpy as np

from reknit.data.retrieval_set import RetrievalSet
from reknit.data.text.corpus import Corpus
from reknit.evaluation.metrics import values_of
from reknit.evaluation.retrieval import vectors_of
from reknit.evaluation.significance import nearest_as_good
from reknit.models.encode_texts import EncodeTexts
from reknit.models.query_expansion import DEFAULT_WEIGHT, QueryExpansion
from reknit.retrieval.dense import dense_rankings
from reknit.runs.config import ExpansionSpec

logger = logging.getLogger("reknit")

_LEAST_HOLDERS_IN_A_SAMPLE = 3
EXPANSION_WEIGHTS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8)


def make_expansion(
    corpus: Corpus, name: str, encode: EncodeTexts, spec: ExpansionSpec, choosing: RetrievalSet, seed: int
) -> QueryExpansion | None:
    """The expansion by the corpus's passages as training may see them, weighted on `choosing`; None where there are no
    words, or the best weight is 0.

    name, encode: of the model that will be expanded.
    """
    numbers = corpus.drawn(spec.documents, seed)
    texts = [corpus.training_text(number) for number in np.sort(numbers).tolist()]
    # In a sample, a word of one or two passages may be a common one that happens to be rare in the sample.
    least = 1 if len(texts) == len(corpus.store) else _LEAST_HOLDERS_IN_A_SAMPLE
    whole = QueryExpansion.of(texts, encode(texts, "document"), most=spec.words, least_holders=least)
    if not whole.terms:
        return None
    weight, reached = choose_expansion_weight(choosing, encode, whole)
    logger.info(
        "query expansion of the %s model: %d terms of %d passages, weight %.1f; nDCG@10 of the probe by weight: %s",
        name,
        len(whole.terms),
        len(texts),
        weight,
        ", ".join(f"{one:.1f} {value:.3f}" for one, value in zip(EXPANSION_WEIGHTS, reached, strict=True)),
    )
    return whole.with_weight(weight) if weight else None


def choose_expansion_weight(
    collection: RetrievalSet, encode: EncodeTexts, expansion: QueryExpansion, metric: str = "nDCG@10"
) -> tuple[float, list[float]]:
    """The weight, and the mean of `metric` at each of EXPANSION_WEIGHTS, by `collection`, its shared words dropped.

    Of the weights that are not significantly worse than the best one (by two standard errors), the one nearest to
    DEFAULT_WEIGHT is taken: the probe's queries are not those of users.
    """
    documents, queries = vectors_of(collection, encode)
    reached = [
        _values(collection, documents, queries, expansion.with_weight(weight), metric) for weight in EXPANSION_WEIGHTS
    ]
    weight = nearest_as_good(EXPANSION_WEIGHTS, np.array(reached), DEFAULT_WEIGHT)
    return weight, np.mean(reached, axis=1).tolist()


def values_with_own_words(
    collection: RetrievalSet, encode: EncodeTexts, spec: ExpansionSpec, metric: str = "nDCG@10"
) -> list[float]:
    """[queries] `metric` of a search whose queries are expanded, with the default weight, by the words of the
    collection's own documents; without expansion where `spec` asks for none."""
    documents, queries = vectors_of(collection, encode)
    expansion = None
    if spec.wanted:
        expansion = QueryExpansion.of(list(collection.documents.values()), documents, most=spec.words)
    return _values(collection, documents, queries, expansion, metric)


def _values(
    collection: RetrievalSet,
    documents: np.ndarray,
    queries: np.ndarray,
    expansion: QueryExpansion | None,
    metric: str,
) -> list[float]:
    if expansion is not None:
        queries = expansion.expand(list(collection.queries.values()), queries)
    run = dense_rankings(list(collection.documents), documents, list(collection.queries), queries)
    return values_of(run, collection, metric)


def with_expansion(encode: EncodeTexts, expansion: QueryExpansion | None) -> EncodeTexts:
    """`encode` with its queries expanded."""
    if expansion is None:
        return encode
    found = expansion

    def expanded(texts: list[str], kind: Literal["query", "document"]) -> np.ndarray:
        vectors = encode(texts, kind)
        return found.expand(texts, vectors) if kind == "query" else vectors

    return expanded
