"""A retrieval probe cut out of an unlabelled corpus: what tells a training run whether search gets better.

A document's title, or a sentence of a passage, becomes a query whose answer is the text that it was taken from (the
inverse cloze task of Lee et al. 2019, https://arxiv.org/abs/1906.00300, used for measuring). Training never sees the
pair: `HeldOut.training_text` is the text with the query cut out.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Literal

import numpy as np

from reknit.data.retrieval_set import RetrievalSet
from reknit.data.text.curation import normalise, phrases_standing_in
from reknit.data.text.passage_store import PassageStore
from reknit.data.text.passages import count_words, cut_sentence, split_sentences, without_leading_title
from reknit.errors import ReknitError

PROBE = "probe"
"""The name of the collection that judges; no labelled collection may have it."""
MIN_PASSAGES = 20
MAX_SHARE = 0.2
MIN_TITLE_WORDS = 2
MIN_BODY_WORDS = 10
PASSAGES_TRIED = 5
FEW_QUERIES = 50
# Sentences that stand in several passages are left out, and nobody knows before how many do.
_DRAWN_TOO_MANY = 1.5
_DIGITS = re.compile(r"\d+")


@dataclass(frozen=True)
class HeldOut:
    """A probe and what training may still see of its passages.

    kind: whether queries are titles or sentences.
    dev: queries for choosing a checkpoint.
    test: queries for the verdict; the same documents as dev, but no document is the answer in both.
    whole: both, for the verdict of a run in which nothing was chosen by dev.
    answer_passages: numbers (in the store) of the passages that answer a query.
    training_text: {passage number: text that training may see}, for every answer and, with titles, for every other
        passage of its document (they carry the same title).
    """

    kind: Literal["title", "sentence"]
    dev: RetrievalSet
    test: RetrievalSet
    whole: RetrievalSet
    answer_passages: frozenset[int]
    training_text: dict[int, str]


@dataclass(frozen=True)
class _Probe:
    """One query: its passage in the store and the passage's text as it is searched and trained on."""

    query: str
    passage: int
    shown: str


def hold_out(store: PassageStore, *, queries: int = 400, max_documents: int = 5000, seed: int) -> HeldOut:
    """Cut at most `queries` queries, from at most 20% of the passages, half for dev and half for test.

    Queries are titles when at least half of the documents have one that is unique, also without its numbers, of two
    words or more, and followed by a body, and these give as many queries as sentences would, or 50; in that case every
    passage of the probe is shown without its title, and without a repetition of it at its start. Otherwise queries are
    mid-length sentences, of another document each as long as there are any, and only the answer lacks its sentence. The
    probe's collection is a sample of at most `max_documents` passages, answers included; other passages of an answer's
    document are left out of a title probe, for they may answer too. The same store, settings and seed give the same
    probe.

    Raises ReknitError when the store has fewer than 20 passages or none that makes a query.
    """
    if len(store) < MIN_PASSAGES:
        raise ReknitError(
            f"the probe needs at least {MIN_PASSAGES} distinct passages, found {len(store)}; give more text"
        )
    first_passages = np.flatnonzero(np.diff(store.document_numbers, prepend=-1))
    wanted, most_titles = (
        min(queries, int(MAX_SHARE * count), max_documents) for count in (len(store), store.num_documents)
    )
    rng = np.random.default_rng([seed, 0])
    titled = _documents_with_usable_title(store, first_passages)
    kind: Literal["title", "sentence"] = "title"
    probes: list[_Probe] = []
    if 2 * len(titled) >= store.num_documents:
        probes = list(islice(_title_probes(store, first_passages[rng.permutation(titled)]), most_titles))
    if len(probes) < min(wanted, FEW_QUERIES):
        kind = "sentence"
        drawn = _sentence_probes(store, first_passages, rng, seed)
        probes = _without_repeated(store, list(islice(drawn, int(_DRAWN_TOO_MANY * wanted))))[:wanted]
    sample = _sample(store, probes, max_documents, rng, without_siblings=kind == "title")
    if len(probes) < 2:
        raise ReknitError(f"the probe found {len(probes)} usable queries: the documents are too short or all alike")

    ids, documents = _collection(store, probes, sample, kind)
    half = len(probes) // 2
    return HeldOut(
        kind=kind,
        dev=_retrieval_set("probe-dev", probes[:half], ids, documents, kind),
        test=_retrieval_set(PROBE, probes[half:], ids, documents, kind),
        whole=_retrieval_set(PROBE, probes, ids, documents, kind),
        answer_passages=frozenset(probe.passage for probe in probes),
        training_text=_training_text(store, probes, kind),
    )


def _documents_with_usable_title(store: PassageStore, first_passages: np.ndarray) -> np.ndarray:
    """Numbers of the documents whose title could be a query; keeps one hash per document, no text."""
    hashes = np.zeros(len(first_passages), dtype=np.int64)
    for number, first in enumerate(first_passages):  # a list of them would be five times as large
        passage = store[int(first)]
        if count_words(passage.title) < MIN_TITLE_WORDS:
            continue
        body = without_leading_title(passage.text, passage.title)
        if count_words(body[:400]) >= MIN_BODY_WORDS:
            # Case 12/2014, case 13/2014: numbers do not make a title say what its text is about.
            hashes[number] = hash(_DIGITS.sub("", normalise(passage.title))) or 1
    values, counts = np.unique(hashes, return_counts=True)
    return np.flatnonzero(np.isin(hashes, values[(counts == 1) & (values != 0)]))


def _title_probes(store: PassageStore, passages: np.ndarray) -> Iterator[_Probe]:
    for number in map(int, passages):
        passage = store[number]
        shown = without_leading_title(passage.text, passage.title)
        # A title that stands as a sentence of the body too would be offered as a pair of the two.
        if normalise(passage.title) not in map(normalise, split_sentences(shown)):
            yield _Probe(passage.title, number, shown)


def _sentence_probes(
    store: PassageStore, first_passages: np.ndarray, rng: np.random.Generator, seed: int
) -> Iterator[_Probe]:
    """One of each document, in random order; then of the passages that are left, which a few long documents have."""
    ends = np.append(first_passages[1:], len(store))
    seen: set[str] = set()
    used: set[int] = set()
    for document in map(int, rng.permutation(store.num_documents)):  # a list would be five times as large
        chance = random.Random(f"hold-out {seed} {document}")
        parts = range(first_passages[document], ends[document])
        for number in chance.sample(parts, min(PASSAGES_TRIED, len(parts))):
            if (probe := _sentence_probe(store, number, chance, seen)) is not None:
                used.add(number)
                yield probe
                break
    for number in map(int, rng.permutation(len(store))):
        chance = random.Random(f"hold-out {seed} passage {number}")
        if number not in used and (probe := _sentence_probe(store, number, chance, seen)) is not None:
            yield probe


def _sentence_probe(store: PassageStore, number: int, chance: random.Random, seen: set[str]) -> _Probe | None:
    """A sentence of the passage, which joins those that were `seen`, or None."""
    passage = store[number]
    cut = cut_sentence(passage.text, chance)
    if cut is None:
        return None
    query, shown = cut[0], f"{passage.title} {cut[1]}".strip()
    # A sentence that stands twice in its passage, or is its title, would still be in the answer.
    if normalise(query) in seen or normalise(query) in normalise(shown):
        return None
    seen.add(normalise(query))
    return _Probe(query, number, shown)


def _sample(
    store: PassageStore, probes: list[_Probe], size: int, rng: np.random.Generator, *, without_siblings: bool
) -> np.ndarray:
    """Ascending numbers of the probe's passages: every answer, and a random sample of the others."""
    answers = np.array([probe.passage for probe in probes], dtype=np.int64)
    free = np.ones(len(store), dtype=bool)
    if without_siblings:
        held = np.zeros(store.num_documents, dtype=bool)
        held[store.document_numbers[answers]] = True
        free = ~held[store.document_numbers]
    free[answers] = False
    others = np.flatnonzero(free)
    chosen = rng.choice(others, size=min(size - len(answers), len(others)), replace=False)
    return np.sort(np.concatenate([answers, chosen]))


def _without_repeated(store: PassageStore, probes: list[_Probe]) -> list[_Probe]:
    """Leave out queries that stand in another passage too, such as a licence line, or in chunks that overlap: they have
    no single answer, and training would see them there."""
    queries = {normalise(probe.query): number for number, probe in enumerate(probes)}
    standing_in = phrases_standing_in([probe.query for probe in probes])
    found: Counter[int] = Counter()
    for passage in store:
        # In scripts without spaces a sentence has too few words to be looked for as a phrase.
        sentences = {normalise(sentence) for sentence in split_sentences(passage.text)}
        found.update(standing_in(passage.text) | {queries[one] for one in sentences & queries.keys()})
    return [probe for number, probe in enumerate(probes) if found[number] <= 1]


def _collection(
    store: PassageStore, probes: list[_Probe], sample: np.ndarray, kind: str
) -> tuple[dict[int, str], dict[str, str]]:
    """{passage number: document id} and {document id: text} of the probe's passages."""
    shown = {probe.passage: probe.shown for probe in probes}
    ids: dict[int, str] = {}
    documents: dict[str, str] = {}
    for number in sample.tolist():
        passage = store[number]
        text = without_leading_title(passage.text, passage.title) if kind == "title" else passage.full_text
        # Only a corpus that was not curated has two documents of one id.
        ids[number] = passage.id if passage.id not in documents else f"{passage.id}~{number}"
        documents[ids[number]] = shown.get(number, text)
    return ids, documents


def _retrieval_set(
    name: str, probes: list[_Probe], ids: dict[int, str], documents: dict[str, str], kind: str
) -> RetrievalSet:
    notes = [f"queries are {kind}s of the corpus, cut out of the documents"]
    if len(probes) < FEW_QUERIES:
        notes.append(f"only {len(probes)} queries: expect wide intervals")
    return RetrievalSet(
        name=name,
        documents=documents,
        queries={f"query of {ids[probe.passage]}": probe.query for probe in probes},
        qrels={f"query of {ids[probe.passage]}": {ids[probe.passage]: 1} for probe in probes},
        notes=tuple(notes),
    )


def _training_text(store: PassageStore, probes: list[_Probe], kind: str) -> dict[int, str]:
    texts: dict[int, str] = {}
    if kind == "title":
        for document in store.document_numbers[[probe.passage for probe in probes]].tolist():
            first, end = np.searchsorted(store.document_numbers, [document, document + 1]).tolist()
            for number in range(first, end):
                passage = store[number]
                texts[number] = without_leading_title(passage.text, passage.title) or passage.text
    texts.update((probe.passage, probe.shown) for probe in probes)
    return texts
