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
from reknit.data.text.holdout import HeldOut, hold_out
from reknit.data.text.passage_store import PassageStore
from reknit.data.text.passages import PASSAGE_WORDS
from reknit.data.text.python_docs import CORPUS_NAME
from reknit.data.text.readers import check_exists, open_corpus
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
    files = _Files(folder.data)
    fresh = not files.report.exists()
    if fresh:
        files.whole.unlink(missing_ok=True)
        words = _passage_words(config, reader)
        report = ReadReport()
        store = _build(config, files.passages, report, words, frozenset(excluded_queries))
    else:
        store, report = PassageStore.open(files.passages), ReadReport(**read_json(files.report))
    probe = config.probe
    held_out = hold_out(store, queries=probe.queries, max_documents=probe.documents, seed=config.seed)
    held = f"{hash_text(repr(sorted(held_out.training_text.items()))):016x}"
    if fresh:
        write_json(files.made, {"passage_words": words, "held_out": held})
        write_json(files.report, dataclasses.asdict(report))
    elif not files.made.exists() or read_json(files.made)["held_out"] != held:
        raise ReknitError(
            f"{folder.path} was started by a version of reknit that held out other queries, so this version's were "
            "trained on: start a new run, with another folder or --overwrite"
        )
    words = read_json(files.made)["passage_words"]
    if indexed and report.eval_overlaps and not files.whole.exists():
        _build(config, files.whole, ReadReport(), words, frozenset(), what="read corpus as it is")
    _tell(store, report, held_out)
    as_it_is = PassageStore.open(files.whole) if files.whole.exists() else None
    return Corpus(store, report, held_out, config.corpus, as_it_is, words)


class _Files:
    """Where a corpus's passages are (for training; and as they are, where the two differ), what reading them met, and
    how they were cut."""

    def __init__(self, data: Path) -> None:
        self.passages = data / "passages.arrow"
        self.whole = data / "searched.arrow"
        self.report = data / "corpus.json"
        self.made = data / "made.json"


def _passage_words(config: RunConfig, reader: EmbeddingModel | None) -> int:
    """How long passages are at most: as the settings say, else as much as `reader` reads."""
    if config.passage_words is not None:
        return config.passage_words
    if reader is None:
        return PASSAGE_WORDS
    return words_that_are_read(reader, open_corpus(config.corpus, ReadReport(), max_bad=config.max_bad))


def _build(
    config: RunConfig, path: Path, report: ReadReport, words: int, exclude: frozenset[str], what: str = "read corpus"
) -> PassageStore:
    """Read and curate the corpus into passages of at most `words` words; what is met goes to `report`."""
    with disk_full_explained(str(path)), Progress() as progress:
        progress.start(what, unit="documents")
        documents = _drawn(open_corpus(config.corpus, report, max_bad=config.max_bad), config.corpus_share)
        return PassageStore.build(_counted(curate(documents, report, exclude=exclude), progress), path, max_words=words)


def _tell(store: PassageStore, report: ReadReport, held_out: HeldOut) -> None:
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


def _drawn(documents: Iterator[Document], share: float) -> Iterator[Document]:
    """The documents that belong to a share of all, by a hash of their ids: in the order given, the same ones always."""
    if share >= 1.0:
        return documents
    return (one for one in documents if zlib.crc32(one.id.encode("utf-8", "replace")) < share * 2**32)


def _counted(documents: Iterable[Document], progress: Progress) -> Iterator[Document]:
    for number, document in enumerate(documents, 1):
        progress.update(number)
        yield document
