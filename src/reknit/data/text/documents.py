"""What a corpus is read into: documents, and a report of what was met on the way."""

from __future__ import annotations

from dataclasses import dataclass, field

from reknit.errors import ReknitError

MAX_PROBLEMS = 20


@dataclass(frozen=True, slots=True)
class Document:
    """One document of a corpus. `title` is empty where the source has none.

    source: the file that it was read from, by its path below the corpus's folder ("es/news.jsonl"), or by its name
    where the corpus is that file; empty where there is none.
    """

    id: str
    title: str
    text: str
    source: str = ""


@dataclass
class ReadReport:
    """Counts of what happened while a corpus was read and curated.

    read: documents that the reader yielded. documents: documents that curation kept. duplicates, empty: documents that
    curation dropped. unreadable: records or files that could not be read. eval_overlaps: documents that were dropped,
    or lost their title, because they repeat a query of an evaluation. problems: "file:line: reason" of the first 20
    unreadable records.
    """

    read: int = 0
    documents: int = 0
    duplicates: int = 0
    empty: int = 0
    unreadable: int = 0
    eval_overlaps: int = 0
    problems: list[str] = field(default_factory=list)

    def add_problem(self, place: str, reason: str, *, max_bad: int) -> None:
        """Count an unreadable record; raise ReknitError when there are more than `max_bad` of them."""
        self.unreadable += 1
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(" ".join(f"{place}: {reason}".split()))
        if self.unreadable > max_bad:
            first = "; ".join(self.problems[:5])
            raise ReknitError(f"more than {max_bad} unreadable records, the first are: {first}; repair or remove them")
