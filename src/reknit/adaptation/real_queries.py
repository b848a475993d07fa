"""What users asked and clicked, as a run uses it: queries to learn from, and others to be judged by."""

from __future__ import annotations

import logging
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

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
FEWEST_TO_JUDGE = 50
_DOCUMENTS = 8000
_SAMPLE = 1000


@dataclass(frozen=True)
class RealQueries:
    """texts: queries to learn from, those that were asked most first. answers: {query: {document's id: weight}}, of
    those with pairs. sample: queries drawn as often as they were asked, for their form. judging: the pairs that are not
    trained on, as a collection; None where there are too few."""

    texts: tuple[str, ...] = ()
    answers: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    sample: tuple[str, ...] = ()
    judging: RetrievalSet | None = None

    @cached_property
    def documents(self) -> frozenset[str]:
        """Ids of the documents that answer something."""
        return frozenset(document for answers in self.answers.values() for document in answers)


def real_queries(
    log: Sequence[LoggedQuery], pairs: Sequence[Pair], corpus: Corpus, excluded: set[str], seed: int
) -> RealQueries:
    """What a run may use of a log and of pairs.

    excluded: queries of labelled collections, in any spelling, which are not learnt from. A fifth of the queries with
    pairs, by a hash of the query, is kept for judging, where they are at least FEWEST_TO_JUDGE in all. Raises
    ReknitError where no pair names a document of the corpus.
    """
    known = corpus.store.numbers_of({pair.document for pair in pairs})
    answers: dict[str, dict[str, float]] = {}
    for pair in pairs:
        if pair.document in known:
            answers.setdefault(pair.query, {})[pair.document] = pair.weight
    _tell(pairs, answers, known)
    counts = {one.text: one.count for one in log}
    spelled = {normalise(text): text for text in counts}
    held = {query for query in answers if _is_held(query)} if len(answers) >= FEWEST_TO_JUDGE else set()
    kept_out = {normalise(text) for text in (*excluded, *held)}
    trained = {query: of for query, of in answers.items() if normalise(query) not in kept_out}
    # A query with pairs may stand in the log too.
    texts = [*trained, *(text for key, text in spelled.items() if key not in kept_out | set(map(normalise, trained)))]
    asked = counts or {query: max(1, round(sum(of.values()))) for query, of in answers.items()}
    weights = np.array([*asked.values()], dtype=np.float64)
    rng = np.random.default_rng([seed, 6])
    drawn = rng.choice(len(asked), _SAMPLE, p=weights / weights.sum()) if weights.sum() else np.arange(0)
    sample = [[*asked][place] for place in drawn.tolist()]
    judging = _collection({query: answers[query] for query in sorted(held)}, corpus, known, seed) if held else None
    return RealQueries(tuple(texts), trained, tuple(sample), judging)


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
            "%d of %d pairs name a document that the corpus does not have, such as %r: left out",
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
