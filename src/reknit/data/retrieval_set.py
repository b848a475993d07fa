"""A retrieval test: documents, queries, and which documents answer which query."""

from __future__ import annotations

from dataclasses import dataclass

LEFT_OUT = -(10**9)  # which no collection has for a grade


@dataclass(frozen=True)
class RetrievalSet:
    """A labelled retrieval collection in memory.

    documents: {document id: text}; a title, where there is one, stands before the text ("title text").
    queries: {query id: text}; only queries with at least one relevant document.
    qrels: {query id: {document id: grade}}; a grade above 0 is relevant, a document of grade LEFT_OUT is no answer and
        stands in no ranking of the query.
    notes: remarks for the reader of a result, such as how many judgements were dropped and why.
    """

    name: str
    documents: dict[str, str]
    queries: dict[str, str]
    qrels: dict[str, dict[str, int]]
    notes: tuple[str, ...] = ()
