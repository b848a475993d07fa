"""Makes the distillation targets of a run: BM25 and the start models together rank documents for pseudo-queries."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from reknit.adaptation.answers import Answer, mix_in, repeated
from reknit.adaptation.real_queries import RealQueries
from reknit.adaptation.teacher import DENSE_WEIGHTS, HybridTeacher, choose_dense_weight
from reknit.data.text.corpus import Corpus
from reknit.data.text.curation import normalise
from reknit.data.text.passages import count_words
from reknit.errors import ReknitError
from reknit.evaluation.probe import with_fewer_shared_words
from reknit.jobs.files import disk_full_explained, written_aside
from reknit.jobs.progress import Progress
from reknit.models.encode_texts import EncodeTexts
from reknit.sources.distillation_targets import DistillationTargets
from reknit.sources.pseudo_queries import PseudoQuery, mine_queries
from reknit.sources.queries import TeacherSpec

logger = logging.getLogger("reknit")

# Of the time that the teacher may take: encoding documents, then encoding queries; the rest is for its weight.
_DOCUMENTS_SHARE, _QUERIES_SHARE = 0.6, 0.9
_WEIGHT_QUERIES = 600
_FEWEST_WEIGHT_QUERIES = 20
_MIN_WORDS_LEFT = 5
_PASSAGES_OF_AN_ANSWER = 3
_TEXTS_AT_ONCE = 512
_SCORES_AT_ONCE = 4_000_000


def make_distillation_targets(
    path: Path,
    corpus: Corpus,
    encoders: Sequence[EncodeTexts],
    spec: TeacherSpec,
    *,
    seconds: float | None,
    seed: int,
    real: RealQueries | None = None,
) -> None:
    """Make the distillation targets in the folder `path`, if they are not there.

    encoders: of the dense models that teach together with BM25, the student's start model first. seconds: about how
    long making them may take, None for no limit. real: what users asked, which is learnt from too. When time runs
    short, a random part is dropped: documents and queries are encoded in random order.
    """
    if not path.exists():
        with disk_full_explained(str(path)), written_aside(path) as aside:
            aside.mkdir(parents=True, exist_ok=True)
            _make(corpus, encoders, spec, seconds, seed, real or RealQueries()).save(aside)
    targets = DistillationTargets.open(path)
    logger.info(
        "teacher: %.0f%% %s and %.0f%% BM25, ranks %d passages for %d pseudo-queries (%.0f s)",
        100 * targets.facts["dense_weight"],
        "start model" if len(encoders) == 1 else f"models ({len(encoders)})",
        100 * (1 - targets.facts["dense_weight"]),
        len(targets.documents),
        targets.facts["queries"],
        targets.facts["seconds"],
    )


def _make(
    corpus: Corpus,
    encoders: Sequence[EncodeTexts],
    spec: TeacherSpec,
    seconds: float | None,
    seed: int,
    real: RealQueries,
) -> DistillationTargets:
    began = time.monotonic()
    ends = [None if seconds is None else began + share * seconds for share in (_DOCUMENTS_SHARE, _QUERIES_SHARE)]
    asked = real.texts[: spec.queries // 2]
    answers_of = {query: real.answers[query] for query in asked if query in real.answers}
    passages, documents, vectors, answering = _documents(corpus, encoders, spec, ends[0], seed, answers_of)
    mined = mine_queries(
        corpus.store,
        passages.tolist(),
        corpus.held_out.training_text,
        per_passage=spec.queries_per_passage,
        limit=spec.queries - len(asked),
        seed=seed,
    )
    # A title may be what users ask, and what they are judged by.
    mined = [query for query in mined if normalise(query.text) not in real.withheld] if real.withheld else mined
    if not mined:
        raise ReknitError("no passage contains a sentence that could be a query: give texts with sentences")
    # Of a title all passages of its document are left out, which may be all there are.
    left_out = _sources(mined, passages, corpus.store.document_numbers)
    answered = np.flatnonzero(left_out[:, 1] - left_out[:, 0] < len(passages))
    if not answered.size:
        raise ReknitError("all pseudo-queries are titles of one document: give text in sentences, or more documents")
    mined, left_out = [mined[place] for place in answered], left_out[answered]

    # Users' queries first: where time runs short, the others are dropped.
    texts = [*asked, *(query.text for query in mined)]
    encoded = _encoded("teacher: queries", encoders, texts, "query", ends[1])
    texts = texts[: len(encoded[0])]
    asked, mined = asked[: len(texts)], mined[: max(0, len(texts) - len(asked))]
    left_out = np.concatenate([np.zeros((len(asked), 2), dtype=np.int32), left_out])[: len(texts)]

    answers = np.searchsorted(passages, [query.passage for query in mined])
    weight, reached = _dense_weight(encoders, documents, vectors, texts[len(asked) :], answers)
    teacher = HybridTeacher(documents, vectors, neighbours=spec.neighbours, neighbour_weight=spec.neighbour_weight)
    ranked, probabilities = _rankings(teacher, texts, encoded, left_out, weight, spec)
    mix_in(answering, asked, ranked, probabilities)
    facts = {
        "dense_weight": weight,
        "reached_by_dense_weight": dict(zip(map(str, DENSE_WEIGHTS), reached, strict=False)),
        "documents": len(passages),
        "queries": len(texts),
        "titles": sum(query.kind == "title" for query in mined),
        "asked": len(asked),
        "seconds": time.monotonic() - began,
    }
    rows = repeated(len(asked), len(mined))
    return DistillationTargets(
        [texts[row] for row in rows], vectors[0], ranked[rows], probabilities[rows], left_out[rows], facts
    )


def _documents(
    corpus: Corpus,
    encoders: Sequence[EncodeTexts],
    spec: TeacherSpec,
    end: float | None,
    seed: int,
    answers: Mapping[str, Mapping[str, float]],
) -> tuple[np.ndarray, list[str], list[np.ndarray], dict[str, list[Answer]]]:
    """Ascending numbers of the passages that are ranked, their texts, their unit vectors by each encoder, and the
    answers of each query that has some. Passages of answers are among them, as far as they are no more than half."""
    known = corpus.store.numbers_of({document for of in answers.values() for document in of})
    wanted = dict.fromkeys(number for numbers in known.values() for number in numbers[:_PASSAGES_OF_AN_ANSWER])
    named = np.array(list(wanted)[: spec.documents // 2], dtype=np.int64)
    drawn = corpus.drawn(spec.documents, seed)
    order = np.concatenate([named, drawn[~np.isin(drawn, named)]])[: spec.documents]
    # In random order, for there may be time for the first ones only.
    order = np.random.default_rng([seed, 7]).permutation(order) if named.size else order
    texts = [corpus.training_text(number) for number in order.tolist()]
    encoded = _encoded("teacher: passages", encoders, texts, "document", end)
    kept = np.argsort(order[: len(encoded[0])])
    passages = order[kept]
    vectors = [functional.normalize(torch.from_numpy(of_model[kept]), dim=-1).numpy() for of_model in encoded]
    place = {number: place for place, number in enumerate(passages.tolist())}
    places = {name: [place[number] for number in numbers if number in place] for name, numbers in known.items()}
    answering = {
        query: [(places[name], weight) for name, weight in of.items() if places.get(name)]
        for query, of in answers.items()
    }
    return passages, [texts[number] for number in kept], vectors, answering


def _dense_weight(
    encoders: Sequence[EncodeTexts],
    documents: list[str],
    vectors: list[np.ndarray],
    texts: list[str],
    answers: np.ndarray,
) -> tuple[float, list[float]]:
    """`choose_dense_weight` on some of the queries, each cut out of the document that it was taken from.

    Half of the words that a query shares with the rest are left out (`with_fewer_shared_words`), and identifiers are
    not split, for a docstring shares them with its code (`BM25`).
    """
    chosen: dict[int, int] = {}  # {document: query}
    cut: list[str] = []
    for query, document in enumerate(answers.tolist()):
        if document in chosen:
            continue
        # A pseudo-query has single spaces, also where it crosses the end of a line.
        whole = " ".join(documents[document].split())
        rest = whole.replace(texts[query], " ")
        if rest != whole and count_words(rest) >= _MIN_WORDS_LEFT:
            chosen[document] = query
            cut.append(rest)
        if len(chosen) == _WEIGHT_QUERIES:
            break
    if len(chosen) < _FEWEST_WEIGHT_QUERIES:
        return DENSE_WEIGHTS[-1], []
    documents, vectors = list(documents), [of_model.copy() for of_model in vectors]
    for document, rest in zip(chosen, cut, strict=True):
        documents[document] = rest
    for of_model, encode in zip(vectors, encoders, strict=True):
        of_model[list(chosen)] = encode(cut, "document")
    teacher = HybridTeacher(documents, vectors, split_identifiers=False)
    queries = [
        with_fewer_shared_words(texts[query], rest, teacher.bm25, random.Random(f"shared {query}"))
        for query, rest in zip(chosen.values(), cut, strict=True)
    ]
    asked = [encode(queries, "query") for encode in encoders]
    return choose_dense_weight(teacher, queries, asked, list(chosen))


def _encoded(
    what: str,
    encoders: Sequence[EncodeTexts],
    texts: list[str],
    kind: Literal["query", "document"],
    end: float | None,
) -> list[np.ndarray]:
    """Of each encoder the [n, dim] vectors of the first n texts: all, or those that are encoded by the time `end`, a
    block at least."""
    blocks: list[list[np.ndarray]] = []
    with Progress() as progress:
        progress.start(what, len(texts), "texts")
        for first in range(0, len(texts), _TEXTS_AT_ONCE):
            if blocks and end is not None and time.monotonic() > end:
                break
            some = texts[first : first + _TEXTS_AT_ONCE]
            blocks.append([encode(some, kind) for encode in encoders])
            progress.update(first + len(some))
    return [np.concatenate(of_model) for of_model in zip(*blocks, strict=True)]


def _sources(queries: list[PseudoQuery], passages: np.ndarray, documents: np.ndarray) -> np.ndarray:
    """[Q, 2] first and last + 1 of the places a query was taken from: of a title, all passages of its document."""
    owners = documents[passages]
    spans = np.empty((len(queries), 2), dtype=np.int32)
    for row, query in enumerate(queries):
        if query.kind == "title":
            number = documents[query.passage]
            spans[row] = np.searchsorted(owners, number), np.searchsorted(owners, number, side="right")
        else:
            place = np.searchsorted(passages, query.passage)
            spans[row] = place, place + 1
    return spans


def _rankings(
    teacher: HybridTeacher,
    texts: list[str],
    asked: list[np.ndarray],
    left_out: np.ndarray,
    weight: float,
    spec: TeacherSpec,
) -> tuple[np.ndarray, np.ndarray]:
    """([Q, K] places, [Q, K] probabilities) of the teacher's K best documents of each query."""
    count = len(teacher)
    at_once = max(1, _SCORES_AT_ONCE // count)
    places: list[Tensor] = []
    probabilities: list[Tensor] = []
    for first in range(0, len(texts), at_once):
        rows = slice(first, first + at_once)
        scores = teacher.scores(texts[rows], [of_model[rows] for of_model in asked], weight)
        for row, (begin, end) in enumerate(left_out[rows].tolist()):
            scores[row, begin:end] = -torch.inf
        best = scores.topk(min(spec.ranked, count), dim=1)
        places.append(best.indices.to(torch.int32))
        probabilities.append(functional.softmax(best.values / spec.temperature, dim=1))
    return torch.cat(places).numpy(), torch.cat(probabilities).numpy()
