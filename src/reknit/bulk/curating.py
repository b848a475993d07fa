"""Write a curated copy of a corpus as Parquet shards, on this machine."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from reknit.bulk.shards import new_folder, shard_name, write_documents, write_facts
from reknit.data.text.curation import curate
from reknit.data.text.documents import Document, ReadReport
from reknit.data.text.readers import open_corpus
from reknit.errors import ReknitError
from reknit.evaluation.beir import load_beir
from reknit.jobs.files import disk_full_explained
from reknit.jobs.progress import Progress
from reknit.runs.corpus import check_corpus_path

# No suffix that `read_documents` knows: the folder is a corpus, and this file is no document of it.
FACTS = "curation.report"
ROWS_PER_SHARD = 32_768


@dataclass(frozen=True)
class CurationSpec:
    """corpus: anything `read_documents` reads, or "python-docs". eval: BEIR folders whose queries leave the corpus.
    max_bad: unreadable records to skip before giving up."""

    corpus: str
    eval: tuple[str, ...] = ()
    max_bad: int = 100

    def excluded(self) -> frozenset[str]:
        """The texts of the evaluations' queries. Raises ReknitError when a folder cannot be read."""
        return frozenset(text for folder in self.eval for text in load_beir(folder).queries.values())


def curate_corpus(
    spec: CurationSpec, out: str | Path, *, overwrite: bool = False, rows: int = ROWS_PER_SHARD
) -> dict[str, Any]:
    """Write the documents that `curate` keeps to the folder `out`; returns what its curation.report (JSON) holds.

    `out` is a corpus itself: id, title and text in Parquet, in the order of the corpus. In memory are one shard and 16
    bytes of every document. Raises ReknitError on bad input; `out` appears when it is whole.
    """
    out = Path(out).resolve()
    check_corpus_path(spec.corpus, out)
    exclude, report = spec.excluded(), ReadReport()
    with disk_full_explained(str(out)), new_folder(out, FACTS, overwrite=overwrite) as aside, Progress() as progress:
        progress.start("curate", unit="documents")
        documents = _watched(open_corpus(spec.corpus, report, max_bad=spec.max_bad), report, progress)
        kept = curate(documents, report, exclude=exclude)
        shards = 0
        while some := list(islice(kept, rows)):
            write_documents(aside / shard_name(shards), some)
            shards += 1
        if not shards:
            raise nothing_left(spec.corpus)
        return write_facts(aside / FACTS, curation_facts(spec, shards, report))


def curation_facts(spec: CurationSpec, shards: int, report: ReadReport) -> dict[str, Any]:
    """What curation.report holds."""
    return {**dataclasses.asdict(spec), "eval": list(spec.eval), "shards": shards, **dataclasses.asdict(report)}


def nothing_left(corpus: str) -> ReknitError:
    return ReknitError(f"no document is left of {corpus}: every document is empty or repeats an evaluation query")


def _watched(documents: Iterator[Document], report: ReadReport, progress: Progress) -> Iterator[Document]:
    for document in documents:
        progress.update(report.read)
        yield document
