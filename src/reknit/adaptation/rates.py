"""How long models take to encode this run's texts on this machine: measured on some of them."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from reknit.data.retrieval_set import RetrievalSet
from reknit.data.text.corpus import Corpus
from reknit.models.encode_texts import EncodeTexts

_SECONDS = 1.0
_WARM_UP, _AT_ONCE = 4, 32
_PASSAGES, _OTHERS = 2048, 128


@dataclass(frozen=True)
class Rates:
    """Seconds that one model takes for a text.

    passage: of the corpus. query: of the probe. documents: of each labelled collection, by its name.
    """

    passage: float
    query: float
    documents: Mapping[str, float]


def measured_rates(
    encode: EncodeTexts, corpus: Corpus, collections: Sequence[RetrievalSet], passages: int = _PASSAGES
) -> Rates:
    """A few seconds of work at most. encode: must not remember what it has encoded."""
    drawn = np.random.default_rng(5).permutation(len(corpus.store))[:passages]
    return Rates(
        passage=_seconds_a_text(encode, [corpus.store[place].full_text for place in drawn.tolist()], "document"),
        query=_seconds_a_text(encode, _spread(corpus.held_out.whole.queries.values()), "query"),
        documents={
            one.name: _seconds_a_text(encode, _spread(one.documents.values()), "document") for one in collections
        },
    )


def _spread(texts: Iterable[str]) -> list[str]:
    """Some of the texts, evenly spaced: a file may be in order of length or age."""
    every = list(texts)
    return every[:: max(1, len(every) // _OTHERS)][:_OTHERS]


def _seconds_a_text(encode: EncodeTexts, texts: list[str], kind: Literal["query", "document"]) -> float:
    """Blocks are encoded until a second has passed, or all are; each is twice as large as the one before, for a fast
    model takes longer to be called than to encode a few texts."""
    encode(texts[:_WARM_UP], kind)  # the first call prepares what later ones use
    began, done, size = time.perf_counter(), 0, _AT_ONCE
    while done < len(texts) and time.perf_counter() - began < _SECONDS:
        done += len(encode(texts[done : done + size], kind))
        size *= 2
    return (time.perf_counter() - began) / done
