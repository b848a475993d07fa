"""What users asked and clicked, as a run uses it: queries to learn from, and others to be judged by."""

from __future__ import annotations

import logging
import math
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from reknit.data.retrieval_set import RetrievalSet
from reknit.data.text.corpus import Corpus
from reknit.data.text.curation import normalise
from reknit.data.text.query_log import LoggedQuery, Pair
from reknit.errors import ReknitError

logger = logging.getLogger("reknit")

CLICKS = "clicks"
"""The name of the collection that judges by pairs."""
FOLDS = 5
"""One of so many queries with pairs is not trained on, and judges."""
FEWEST_TO_JUDGE, MOST_TO_JUDGE = 50, 1000
"""Queries of that kind: with fewer all train, and of more the others do neither."""
_DOCUMENTS = 8000
_SAMPLE = 1000


@dataclass(frozen=True)
class RealQueries:
    """texts: queries to learn from, first those with pairs, each kind in the order of how much is known of them.
    answers: {query: {document's id: weight}}, of those with pairs. sample: queries drawn as often as they were asked,
    for their form. judging: pairs that are not trained on, as a collection; None where there are too few. withheld:
    normalised texts that nothing may learn from."""

    texts: tuple[str, ...] = ()
    answers: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    sample: tuple[str, ...] = ()
    judging: RetrievalSet | None = None
    withheld: frozenset[str] = frozenset()


def real_queries(
    log: Sequence[LoggedQuery], pairs: Sequence[Pair], corpus: Corpus, excluded: set[str], seed: int
) -> RealQueries:
    """What a run may use of a log and of pairs.

    excluded: queries of labelled collections, in any spelling, which are not learnt from; nor are those of the probe,
    for people search by titles too. A fifth of the queries with pairs, by a hash of the query, is kept for judging,
    where that makes at least FEWEST_TO_JUDGE. Raises ReknitError where no pair names a document of the corpus.
    """
    known = corpus.store.numbers_of({pair.document for pair in pairs})
    answers: dict[str, dict[str, float]] = {}
    for pair in pairs:
        if pair.document in known:
            answers.setdefault(pair.query, {})[pair.document] = pair.weight
    _tell(pairs, answers, known)
    answers = {query: answers[query] for query in sorted(answers, key=lambda one: -math.fsum(answers[one].values()))}
    held = [query for query in answers if _is_held(query)]
    held = held if len(held) >= FEWEST_TO_JUDGE else []
    withheld = {normalise(text) for text in (*excluded, *corpus.held_out.whole.queries.values(), *held)}
    trained = {query: of for query, of in answers.items() if normalise(query) not in withheld}
    # A query with pairs may stand in the log too.
    taken = withheld | set(map(normalise, trained))
    judging = None
    if held:
        judging = _collection({query: answers[query] for query in sorted(held[:MOST_TO_JUDGE])}, corpus, known, seed)
    return RealQueries(
        texts=(*trained, *(one.text for one in log if normalise(one.text) not in taken)),
        answers=trained,
        sample=_sample(log, answers, seed),
        judging=judging,
        withheld=frozenset(withheld),
    )


def _sample(log: Sequence[LoggedQuery], answers: Mapping[str, Mapping[str, float]], seed: int) -> tuple[str, ...]:
    """Of the log, else of the queries with pairs."""
    texts = [one.text for one in log] or list(answers)
    counts: list[float] = [one.count for one in log] or [sum(of.values()) for of in answers.values()]
    if not sum(counts):
        return ()
    weights = np.array(counts, dtype=np.float64)
    drawn = np.random.default_rng([seed, 6]).choice(len(texts), _SAMPLE, p=weights / weights.sum())
    return tuple(texts[place] for place in drawn.tolist())


def _is_held(query: str) -> bool:
    return zlib.crc32(normalise(query).encode("utf-8", "replace")) % FOLDS == 0


def _tell(pairs: Sequence[Pair], answers: Mapping[str, object], known: Mapping[str, object]) -> None:
    if not pairs:
        return
    unknown = [pair.document for pair in pairs if pair.document not in known]
    if not answers:
        raise ReknitError(
            f"none of the {len(pairs)} pairs names a document of the corpus, the first {unknown[0]!r}: a pair's "
            "document is an id of the corpus, or a path within its folder"
        )
    if unknown:
        logger.warning(
            "%d of %d pairs name no document of the corpus, or one that repeats another, such as %r: left out",
            len(unknown),
            len(pairs),
            unknown[0],
        )


def _collection(
    answers: Mapping[str, Mapping[str, float]], corpus: Corpus, known: Mapping[str, list[int]], seed: int
) -> RetrievalSet:
    """The queries over their answers' passages and others drawn at random; any passage of a document answers."""
    right = {number for of in answers.values() for document in of for number in known[document]}
    drawn = corpus.drawn(_DOCUMENTS, seed).tolist()
    others = [number for number in drawn if number not in right][: max(0, _DOCUMENTS - len(right))]
    numbers = sorted(right | set(others))
    ids = {number: corpus.store[number].id for number in numbers}
    documents = {ids[number]: corpus.store[number].full_text for number in numbers}
    names = {query: f"click {place}" for place, query in enumerate(answers)}
    return RetrievalSet(
        CLICKS,
        documents,
        {names[query]: query for query in answers},
        {
            names[query]: {ids[number]: 1 for document in of for number in known[document]}
            for query, of in answers.items()
        },
        (f"pairs that were not trained on, one query in {FOLDS}; clicks favour what users were shown first",),
    )
