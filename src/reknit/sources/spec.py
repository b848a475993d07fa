"""What a training batch is made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from reknit.data.text.taggers import TaggerName
from reknit.errors import ReknitError
from reknit.sources.pair_miner import PairKind


@dataclass(frozen=True)
class DataSpec:
    """What a training batch is made of.

    source: "passages" (single texts), "pairs", or "queries" (pseudo-queries with a teacher's ranking). pair_kinds:
    which pairs are mined, for "pairs"; a kind that is named several times is drawn that much more often. max_length:
    tokens per sequence at most. tokens_per_batch: packed tokens per step for passages. pairs_per_batch: examples per
    step for pairs and queries. query_max_length: tokens of a query, or of the first sequence of a pair, at most.
    pairs_per_document: pairs of a document that stand side by side, as far as it has them: 2 or more give an objective
    negatives from the same document. tagger: whose spans the tokens of passages are marked with
    (`data/text/taggers.py`), for objectives that need to know what kind of word a token belongs to. below: train on the
    corpus's files whose path below its folder begins with this, such as "es/"; all of them when empty.
    """

    source: Literal["passages", "pairs", "queries"] = "passages"
    pair_kinds: tuple[PairKind, ...] = ()
    max_length: int = 128
    tokens_per_batch: int = 4096
    pairs_per_batch: int = 64
    query_max_length: int = 64
    pairs_per_document: int = 1
    tagger: TaggerName = "none"
    below: str = ""

    def __post_init__(self) -> None:
        if self.tagger != "none" and self.source != "passages":
            raise ReknitError(f"only passages are tagged, not {self.source}: set data.tagger=none")
        if self.below and self.source == "queries":
            raise ReknitError("a teacher's queries are of the whole corpus: leave data.below empty")


@dataclass(frozen=True)
class TeacherSpec:
    """The teacher that ranks documents for pseudo-queries: BM25 and the start model together.

    documents, queries: at most so many passages are ranked, for so many pseudo-queries. queries_per_passage: at most.
    time_share: with a time budget, making the teacher may take about this share of it. neighbours: each document
    speaks for so many nearest ones too (good where questions have many answers, harmful where they have one; see
    docs/adaptation.md). neighbour_weight: their weight, all together, beside the document's own 1.
    temperature: divides the teacher's standard scores. ranked: documents kept of each ranking. epochs: the student sees
    every query at most so many times; a small corpus has few, and it would learn them by heart.
    """

    documents: int = 20_000
    queries: int = 20_000
    queries_per_passage: int = 8
    time_share: float = 0.3
    neighbours: int = 0
    neighbour_weight: float = 0.4
    temperature: float = 0.25
    ranked: int = 256
    epochs: float = 3.0

    def __post_init__(self) -> None:
        if not self.epochs > 0:
            raise ReknitError(f"teacher.epochs is {self.epochs}: it must be above 0")
