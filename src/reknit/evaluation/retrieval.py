"""Score models on a labelled collection beside what they must beat: random order and BM25."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean

import numpy as np

from reknit.data.retrieval_set import RetrievalSet
from reknit.errors import ReknitError
from reknit.evaluation.beir import load_beir
from reknit.evaluation.measure import Measure, Size, Subject, shown_size
from reknit.evaluation.metrics import mean, per_query, values_of
from reknit.evaluation.scores import Evaluation, Score
from reknit.evaluation.significance import bootstrap_interval, distances_from_the_best
from reknit.evaluation.system_values import HYBRID_WEIGHTS, values_by_weight
from reknit.models.encode_texts import EncodeTexts, encoder_function
from reknit.retrieval.bm25 import BM25
from reknit.retrieval.dense import dense_rankings
from reknit.retrieval.fusion import random_rankings
from reknit.retrieval.rank_systems import ranked_places
from reknit.retrieval.ranking import Rankings
from reknit.retrieval.sides import Side, VectorSide, WordSide
from reknit.retrieval.system import WORDS, SearchSystem

BASELINES = ("random", WORDS)
_QUERIES_AT_ONCE = 64


@dataclass(frozen=True)
class SearchMeasure(Measure):
    """nDCG@10 of the tuned encoder's search in a collection. size: that the encoder is cut to; None for all of it."""

    collection: RetrievalSet
    size: Size | None = None

    @property
    def label(self) -> str:
        return f"{self.collection.name} nDCG@10{shown_size(self.size)}"

    @property
    def texts_to_keep_out(self) -> tuple[str, ...]:
        return tuple(self.collection.queries.values())

    def value(self, subject: Subject) -> float:
        layers, dims = self.size or (None, None)
        encode = encoder_function(subject.tuned, subject.precision, quiet=True, layers=layers, dims=dims)
        return fmean(values_of(dense_search(self.collection, encode), self.collection))

    def at(self, size: Size) -> SearchMeasure:
        return replace(self, size=size)


def opened(folder: Path) -> list[Measure] | None:
    """The measure of a BEIR folder; None for what is none. Raises ReknitError as `load_beir` does."""
    return [SearchMeasure(load_beir(folder))] if (folder / "corpus.jsonl").is_file() else None


def evaluate_retrieval(
    collection: RetrievalSet,
    models: Mapping[str, EncodeTexts],
    *,
    systems: Mapping[str, SearchSystem] | None = None,
    split_identifiers: bool = True,
    sides: Mapping[str, Side] | None = None,
    by_weight: Mapping[str, np.ndarray] | None = None,
    seed: int,
    top: int = 100,
) -> Evaluation:
    """Rank every document for every query with each system and score the rankings.

    Rows in this order: random, bm25, each model (exact search over dot products), and each of `systems`, which search
    by "bm25" and by these models. Each model is called twice: all documents, all queries; `sides`, which `sides_of`
    gave for the same, spares that. by_weight: what `values_by_weight` gave for the hybrids; None to find it.
    `split_identifiers`: as for `BM25`, which says why queries cut out of documents should be asked without. `top`:
    results of a ranking, of each side of a system; at least 100 for R@100 to mean what it says. What `load_beir` leaves
    out of a ranking stands in none. Raises ReknitError on an empty collection, a system of an unknown model, a model
    named like another row, or a model that returns the wrong shape or values that are not finite.
    """
    systems = systems or {}
    _check(collection, models, systems)
    sides = sides or sides_of(collection, models, split_identifiers=split_identifiers)
    qrels = {query: collection.qrels[query] for query in collection.queries}
    scores = {"random": per_query(random_rankings(collection, seed, top), qrels)}
    alone = {name: SearchSystem({name: 1.0}) for name in sides}
    scores |= _scores(collection, sides, {**alone, **systems}, top)
    if by_weight is None:
        hybrids = {name: system for name, system in systems.items() if system.is_hybrid and system.feedback is None}
        by_weight = values_by_weight(collection, sides, hybrids)
    return Evaluation(
        dataset=collection.name,
        queries=len(collection.queries),
        documents=len(collection.documents),
        notes=tuple(collection.notes),
        systems=dict(systems),
        by_weight={name: _by_weight(values) for name, values in by_weight.items()},
        rows={system: {name: _score(values, seed) for name, values in of.items()} for system, of in scores.items()},
        per_query=scores,
    )


def _scores(
    collection: RetrievalSet, sides: Mapping[str, Side], systems: Mapping[str, SearchSystem], top: int
) -> dict[str, dict[str, dict[str, float]]]:
    """{system: what `per_query` gives of its rankings}. All systems are ranked side by side, and a system's rankings
    are kept until some queries are full: those of all queries together would fill the memory."""
    ids = sorted(collection.documents)
    found: dict[str, dict[str, dict[str, float]]] = {name: {} for name in systems}
    waiting: dict[str, Rankings] = {name: {} for name in systems}

    def measure(name: str) -> None:
        run, waiting[name] = waiting[name], {}
        for metric, values in per_query(run, {query: collection.qrels[query] for query in run}).items():
            found[name].setdefault(metric, {}).update(values)

    for query, name, places, scores in ranked_places(collection, sides, systems, top):
        waiting[name][query] = {ids[at]: score for at, score in zip(places.tolist(), scores.tolist(), strict=True)}
        if len(waiting[name]) == _QUERIES_AT_ONCE:
            measure(name)
    for name in systems:
        if waiting[name]:
            measure(name)
    return found


def sides_of(
    collection: RetrievalSet, models: Mapping[str, EncodeTexts], *, split_identifiers: bool = True
) -> dict[str, Side]:
    """Words, and each model's vectors: what `rank_systems` takes. Raises ReknitError as `evaluate_retrieval` does."""
    words = WordSide(collection, BM25(collection.documents, split_identifiers=split_identifiers))
    vectors: dict[str, VectorSide] = {}
    for name, encode in models.items():
        documents, queries = vectors_of(collection, encode)
        try:
            vectors[name] = VectorSide(collection, documents, queries, vectors.values())
        except ReknitError as error:
            raise ReknitError(f"model {name!r} on collection {collection.name!r}: {error}") from error
    return {WORDS: words, **vectors}


def dense_search(collection: RetrievalSet, encode: EncodeTexts, top: int = 100) -> Rankings:
    """The `top` documents of each query by `encode`, which is called twice: all documents, all queries.

    Raises ReknitError as `dense_rankings` does.
    """
    documents, queries = vectors_of(collection, encode)
    return dense_rankings(list(collection.documents), documents, list(collection.queries), queries, top)


def vectors_of(collection: RetrievalSet, encode: EncodeTexts) -> tuple[np.ndarray, np.ndarray]:
    """[documents, dim] and [queries, dim] of a collection, in its order."""
    return (
        encode(list(collection.documents.values()), "document"),
        encode(list(collection.queries.values()), "query"),
    )


def _check(collection: RetrievalSet, models: Mapping[str, EncodeTexts], systems: Mapping[str, SearchSystem]) -> None:
    if not collection.documents or not collection.queries:
        raise ReknitError(
            f"collection {collection.name!r} has {len(collection.documents)} documents and {len(collection.queries)} "
            "queries: it needs at least one of each"
        )
    unjudged = [query for query in collection.queries if query not in collection.qrels]
    if unjudged:
        raise ReknitError(f"query {unjudged[0]!r} of collection {collection.name!r} has no judgements: remove it")
    times = Counter([*BASELINES, *models, *systems])
    clash = sorted(name for name in times if times[name] > 1)
    if clash:
        raise ReknitError(f"a model may not be named {clash[0]!r}: that is the name of another row")
    unknown = [model for system in systems.values() for model in system.models if model not in models]
    if unknown:
        raise ReknitError(f"there is no model {unknown[0]!r} to search by: the models are {sorted(models)}")


def _score(values: dict[str, float], seed: int) -> Score:
    return Score(mean(values), bootstrap_interval(list(values.values()), seed))


def _by_weight(values: np.ndarray) -> dict[str, dict[str, float]]:
    _, errors = distances_from_the_best(values)
    return {
        f"{weight:.1f}": {"value": float(value), "standard_error": float(error)}
        for weight, value, error in zip(HYBRID_WEIGHTS, values.mean(axis=1), errors, strict=True)
    }
