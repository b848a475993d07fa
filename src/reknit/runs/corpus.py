"""From whatever the user pointed at to passages on disk and a retrieval probe cut from them."""

from __future__ import annotations

import dataclasses
import logging
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from reknit.data.text.corpus import Corpus
from reknit.data.text.curation import curate, hash_text
from reknit.data.text.documents import Document, ReadReport
from reknit.data.text.holdout import hold_out
from reknit.data.text.passage_store import PassageStore
from reknit.data.text.passages import PASSAGE_WORDS
from reknit.data.text.python_docs import CORPUS_NAME, python_documentation
from reknit.data.text.readers import check_exists, read_documents
from reknit.errors import ReknitError
from reknit.jobs.files import disk_full_explained, read_json, write_json
from reknit.jobs.progress import Progress
from reknit.models.embedding_model import EmbeddingModel
from reknit.runs.config import RunConfig
from reknit.runs.passage_length import words_that_are_read
from reknit.runs.run_folder import RunFolder

logger = logging.getLogger("reknit")


def check_corpus_path(corpus: str, out: Path) -> None:
    """What can be said of a corpus before it is read.

    Raises ReknitError when there is none, and when it and the folder `out` that will be written, and with --overwrite
    emptied first, hold one another.
    """
    if corpus == CORPUS_NAME:
        return
    check_exists(Path(corpus))
    read, written = Path(corpus).resolve(), out.resolve()
    if read in written.parents:
        raise ReknitError(f"{out} lies inside the corpus {corpus}, so it would be read too: give a folder outside it")
    if written == read or written in read.parents:
        raise ReknitError(f"{out} holds the corpus {corpus}, which it would write over: give another folder")


def prepare_corpus(
    config: RunConfig,
    folder: RunFolder,
    excluded_queries: Iterable[str],
    *,
    indexed: bool = False,
    reader: EmbeddingModel | None = None,
) -> Corpus:
    """Read, curate and cut the corpus into passages (once; a resumed run finds them), then hold out the probe.

    excluded_queries: texts of evaluation queries, and others that are measured by, removed as `curate` says. indexed:
    the corpus will be searched, so where something was removed the texts are kept as they are too. reader: the model
    that will read the passages, which are cut to what it reads of a text unless `config` says how long they are.

    Raises ReknitError where the folder was made by a version of reknit that held out something else: what is there was
    trained on what would be asked for.
    """
    passages, whole, facts = (folder.data / name for name in ("passages.arrow", "searched.arrow", "corpus.json"))
    made = folder.data / "made.json"
    found = facts.exists()
    if found:
        store, report = PassageStore.open(passages), ReadReport(**read_json(facts))
    else:
        report = ReadReport()
        whole.unlink(missing_ok=True)
        with disk_full_explained(str(passages)), Progress() as progress:
            folder.data.mkdir(parents=True, exist_ok=True)
            progress.start("read corpus", unit="documents")
            words = config.passage_words
            if words is None:
                unread = _documents(config, ReadReport())
                words = PASSAGE_WORDS if reader is None else words_that_are_read(reader, unread)

            def build(path: Path, report: ReadReport, exclude: frozenset[str]) -> PassageStore:
                documents = curate(_drawn(_documents(config, report), config.corpus_share), report, exclude=exclude)
                return PassageStore.build(_counted(documents, progress), path, max_words=words)

            store = build(passages, report, frozenset(excluded_queries))
            if indexed and report.eval_overlaps:
                progress.start("read corpus as it is", unit="documents")
                build(whole, ReadReport(), frozenset())
    probe = config.probe
    held_out = hold_out(store, queries=probe.queries, max_documents=probe.documents, seed=config.seed)
    held = f"{hash_text(repr(sorted(held_out.training_text.items()))):016x}"
    if not found:
        write_json(made, {"passage_words": words, "held_out": held})
        write_json(facts, dataclasses.asdict(report))
    elif not made.exists() or read_json(made)["held_out"] != held:
        raise ReknitError(
            f"{folder.path} was begun by a version of reknit that held out other queries than this one, so they were "
            "trained on: start anew, with another folder or --overwrite"
        )
    logger.info(
        "corpus: %d documents, %d passages, %d words; dropped %d duplicates, %d empty, %d unreadable; "
        "%d overlaps with evaluation queries removed",
        report.documents,
        len(store),
        store.words,
        report.duplicates,
        report.empty,
        report.unreadable,
        report.eval_overlaps,
    )
    logger.info(
        "probe: %d and %d queries (%s held out)",
        len(held_out.dev.queries),
        len(held_out.test.queries),
        {"title": "titles", "sentence": "sentences"}[held_out.kind],
    )
    as_it_is = PassageStore.open(whole) if whole.exists() else None
    return Corpus(store, report, held_out, config.corpus, as_it_is, read_json(made)["passage_words"])


def _documents(config: RunConfig, report: ReadReport) -> Iterator[Document]:
    if config.corpus == CORPUS_NAME:
        return python_documentation()
    return read_documents(Path(config.corpus), report, max_bad=config.max_bad)


def _drawn(documents: Iterator[Document], share: float) -> Iterator[Document]:
    """The documents that belong to a share of all, by a hash of their ids: in the order given, the same ones always."""
    if share >= 1.0:
        return documents
    return (one for one in documents if zlib.crc32(one.id.encode("utf-8", "replace")) < share * 2**32)


def _counted(documents: Iterable[Document], progress: Progress) -> Iterator[Document]:
    for number, document in enumerate(documents, 1):
        progress.update(number)
        yield document
