"""What an evaluation of search found: scores with intervals. Written and read without loading a model library."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any

from reknit.jobs.typed_json import to_plain
from reknit.retrieval.system import SearchSystem


@dataclass(frozen=True)
class Score:
    """value: a mean over queries. ci95: its 95% interval."""

    value: float
    ci95: tuple[float, float]


@dataclass(frozen=True)
class Evaluation:
    """Results of several systems on one collection.

    dataset: its name. queries, documents: how many. notes: remarks for the reader. systems: what the rows are that are
    more than one model or words. by_weight: what each hybrid among them would be at other weights of its vectors,
    {system: {weight: {"value": its nDCG@10, "standard_error": of its distance from the best of them, query by query}}}.
    rows: {system: {metric: score}} with metrics "nDCG@10", "R@100", "RR@10", the same of every system. per_query:
    {system: {metric: {query id: value}}}, every system over the same queries; empty where the evaluation was read from
    a file.
    """

    dataset: str
    queries: int
    documents: int
    notes: tuple[str, ...] = ()
    systems: dict[str, SearchSystem] = field(default_factory=dict)
    by_weight: dict[str, dict[str, dict[str, float]]] = field(default_factory=dict)
    rows: dict[str, dict[str, Score]] = field(default_factory=dict)
    per_query: dict[str, dict[str, dict[str, float]]] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Plain data for result.json: everything but the values of single queries, nothing rounded."""
        return {item.name: to_plain(getattr(self, item.name)) for item in fields(self) if item.name != "per_query"}
