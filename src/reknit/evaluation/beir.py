"""Labelled collections in the BEIR layout (Thakur et al. 2021): corpus.jsonl, queries.jsonl, qrels/<split>.tsv."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from reknit.data.retrieval_set import LEFT_OUT, RetrievalSet
from reknit.errors import ReknitError

SPLITS = ("test", "dev", "train")
LARGEST_GRADE = 1e6  # anything beyond is no judgement, and overflows the metric's gains


def load_beir(folder: Path | str, split: str = "test") -> RetrievalSet:
    """The collection in `folder`, with the queries that have at least one relevant document in `split`.

    split: qrels/<split>.tsv; where there are no test judgements, those of dev, else of train are used and a note says
    so. Judgements are `query-id corpus-id score` lines with or without a header, or TREC's four columns. A document is
    "title text". Negative grades count as not relevant (0). Judgements of unknown queries or documents, queries without
    text or without a relevant document, and repeated ids are dropped and counted in the notes. Where a query is one of
    the documents (the same id, and the document holds its text), that one is left out of its ranking unless it is
    judged, as BEIR's own evaluation does for ArguAna and Quora.
    Raises ReknitError naming file and line on missing files, broken lines, and when nothing usable remains.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise ReknitError(
            f"{folder} is not a folder: give a folder with corpus.jsonl, queries.jsonl and qrels/test.tsv"
        )
    notes: list[str] = []
    judgements_file = _judgements_file(folder, split, notes)
    documents = _texts(folder / "corpus.jsonl", "document", notes)
    queries = _texts(folder / "queries.jsonl", "query", notes)
    if not documents:
        raise ReknitError(f"{folder / 'corpus.jsonl'} holds no documents: give lines of {{_id, title, text}}")
    qrels = _known_qrels(judgements_file, documents, queries, notes)
    kept = _answerable(qrels, queries, notes)
    if not kept:
        raise ReknitError(
            f"{judgements_file}: no query has text and a relevant document: check the scores (relevant: > 0)"
        )
    for query in (own := _documents_themselves(kept, queries, documents, qrels)):
        qrels[query][query] = LEFT_OUT
    if own:
        notes.append(f"{len(own)} queries are documents themselves, which are left out of their rankings")
    return RetrievalSet(
        name=folder.resolve().name,
        documents=documents,
        queries={query: queries[query] for query in kept},
        qrels={query: qrels[query] for query in kept},
        notes=tuple(notes),
    )


def _judgements_file(folder: Path, split: str, notes: list[str]) -> Path:
    for candidate in SPLITS if split == "test" else (split,):
        path = folder / "qrels" / f"{candidate}.tsv"
        if path.is_file():
            if candidate != split:
                notes.append(f"no {split} judgements: those of {candidate} are used")
            return path
    wanted = " or ".join(SPLITS) if split == "test" else split
    raise ReknitError(
        f"{folder / 'qrels'} has no judgements for {wanted}: add {split}.tsv (query-id, corpus-id, score)"
    )


def _known_qrels(
    path: Path, documents: dict[str, str], queries: dict[str, str], notes: list[str]
) -> dict[str, dict[str, int]]:
    """{query id: {document id: grade}} of known ids; of a repeated judgement the highest grade holds."""
    qrels: dict[str, dict[str, int]] = {}
    negative = unknown_queries = unknown_documents = total = 0
    for query, document, grade in _judgements(path):
        total += 1
        if query not in queries:
            unknown_queries += 1
        elif document not in documents:
            unknown_documents += 1
        else:
            negative += grade < 0
            grades = qrels.setdefault(query, {})
            grades[document] = max(grade, grades.get(document, 0))
    if not total:
        raise ReknitError(f"{path} holds no judgements: give lines of query-id, corpus-id, score")
    if not qrels:
        raise ReknitError(
            f"{path}: none of {total} judgements names a known query and document: check its ids against corpus and "
            "queries"
        )
    if negative:
        notes.append(f"{negative} judgements with a negative grade count as not relevant")
    if unknown_queries:
        notes.append(f"{unknown_queries} judgements of unknown queries dropped")
    if unknown_documents:
        notes.append(f"{unknown_documents} judgements of unknown documents dropped")
    return qrels


def _answerable(qrels: dict[str, dict[str, int]], queries: dict[str, str], notes: list[str]) -> list[str]:
    answered = [query for query in queries if max(qrels.get(query, {}).values(), default=0) > 0]
    kept = [query for query in answered if queries[query]]
    if len(answered) < len(qrels):
        notes.append(f"{len(qrels) - len(answered)} queries without a relevant document dropped")
    if len(kept) < len(answered):
        notes.append(f"{len(answered) - len(kept)} queries without text dropped")
    return kept


def _documents_themselves(
    kept: list[str], queries: dict[str, str], documents: dict[str, str], qrels: dict[str, dict[str, int]]
) -> list[str]:
    # Ids alone say nothing: in many collections query 1 and document 1 have nothing to do with each other.
    return [query for query in kept if query not in qrels[query] and queries[query] in documents.get(query, "")]


def _texts(path: Path, kind: str, notes: list[str]) -> dict[str, str]:
    """{id: "title text"} of a JSON lines file; the first of several lines with one id holds."""
    texts: dict[str, str] = {}
    repeated = 0
    for number, line in _lines(path):
        record = _record(path, number, line)
        key = record.get("_id", record.get("id"))
        if isinstance(key, bool) or not isinstance(key, str | int) or key == "":
            raise ReknitError(f'{path}:{number}: no "_id": every {kind} needs one, a text or a whole number')
        parts = [_field(path, number, record, name) for name in ("title", "text")]
        if str(key) in texts:
            repeated += 1
        else:
            texts[str(key)] = " ".join(part for part in parts if part)
    if repeated:
        notes.append(f"{repeated} lines of {path.name} repeat an id: the first of each is used")
    return texts


def _record(path: Path, number: int, line: str) -> dict[str, Any]:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ReknitError(f"{path}:{number}: not JSON ({str(error)[:80]}): repair or remove the line") from error
    if not isinstance(record, dict):
        raise ReknitError(f'{path}:{number}: not a JSON object: every line must be like {{"_id": "1", "text": "..."}}')
    return record


def _field(path: Path, number: int, record: dict[str, Any], name: str) -> str:
    value = record.get(name)
    if value is None and name == "text" and "text" not in record:
        raise ReknitError(f'{path}:{number}: no "text": the fields are {sorted(record)[:10]}')
    if value is None:
        return ""
    if not isinstance(value, str):
        raise ReknitError(f'{path}:{number}: "{name}" is not a text: repair or remove the line')
    # JSON can spell half of a surrogate pair, which no tokenizer accepts.
    return value.encode("utf-8", "replace").decode("utf-8").strip()


def _judgements(path: Path) -> Iterator[tuple[str, str, int]]:
    for place, (number, line) in enumerate(_lines(path)):
        columns = line.split("\t") if "\t" in line else line.split()
        columns = [column.strip() for column in columns]
        if len(columns) not in (3, 4):
            raise ReknitError(
                f"{path}:{number}: {len(columns)} columns: need query-id, corpus-id, score (or TREC's 4), tab-separated"
            )
        grade = _grade(columns[-1])
        if grade is not None:
            yield columns[0], columns[-2], grade
        elif place > 0:  # the first line may be the header
            raise ReknitError(
                f"{path}:{number}: the score {columns[-1][:40]!r} is not a number: repair or remove the line"
            )


def _grade(column: str) -> int | None:
    try:
        value = float(column)
    except ValueError:
        return None
    return math.floor(value) if abs(value) < LARGEST_GRADE else None


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Numbered lines that hold more than white space, of a UTF-8 file with or without a byte order mark."""
    if not path.is_file():
        raise ReknitError(f"{path} is missing: a BEIR folder has corpus.jsonl, queries.jsonl and qrels/<split>.tsv")
    try:
        with path.open(encoding="utf-8-sig") as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield number, line.strip()
    except UnicodeDecodeError as error:
        raise ReknitError(f"{path} is not UTF-8 text (byte {error.start}): convert it") from error
    except OSError as error:
        raise ReknitError(f"{path} cannot be read: {error.strerror}") from error
