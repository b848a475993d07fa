"""What a run on texts is given beside its corpus."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from reknit.adaptation.real_queries import CLICKS
from reknit.data.retrieval_set import RetrievalSet
from reknit.data.text.holdout import PROBE
from reknit.data.text.query_log import LoggedQuery, Pair, read_pairs, read_query_log
from reknit.errors import ReknitError
from reknit.evaluation.beir import load_beir
from reknit.jobs.files import read_json, write_json
from reknit.models.embedder import Embedder
from reknit.models.embedding_model import EmbeddingModel
from reknit.runs.config import RunConfig
from reknit.runs.run_folder import RunFolder
from reknit.runs.start import LoadedStart, load_starts, load_teacher

_USERS = "users.json"


@dataclass(frozen=True)
class Given:
    """collections: with labelled queries, named apart. log, pairs: of users. teacher: that was named, if one was.
    starts: the start models, none where one is built."""

    collections: tuple[RetrievalSet, ...]
    log: tuple[LoggedQuery, ...]
    pairs: tuple[Pair, ...]
    teacher: Embedder | None
    starts: tuple[LoadedStart, ...]

    @classmethod
    def load(cls, config: RunConfig) -> Given:
        """What the configuration names. Raises ReknitError where it cannot be loaded."""
        return cls(
            collections=tuple(_named_apart(load_beir(path) for path in config.eval)),
            log=tuple(read_query_log(Path(config.queries))) if config.queries else (),
            pairs=tuple(read_pairs(Path(config.pairs))) if config.pairs else (),
            teacher=None if config.teacher is None else load_teacher(config.teacher),
            starts=tuple(load_starts(config)),
        )

    @property
    def labelled_queries(self) -> set[str]:
        """Texts of the queries of the labelled collections, which nothing may learn from."""
        return {text for collection in self.collections for text in collection.queries.values()}

    @property
    def reader(self) -> EmbeddingModel | None:
        """The first start model that can be trained."""
        return next((one.model for one in self.starts if isinstance(one.model, EmbeddingModel)), None)


def check_unchanged(config: RunConfig, folder: RunFolder) -> None:
    """Remember the files of users' queries, and raise ReknitError where a resume finds another content: what trained
    might judge."""
    made = folder.data / _USERS
    files = [Path(path) for path in (config.queries, config.pairs) if path is not None]
    found = {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}
    if not made.exists():
        write_json(made, found)
        return
    before = read_json(made)
    for file in files:
        if before.get(file.name) != found[file.name]:
            raise ReknitError(f"{file} has changed since the run began: start a new run, with another folder")


def _named_apart(collections: Iterable[RetrievalSet]) -> list[RetrievalSet]:
    """The same collections, none of them named like another or like one that a run makes."""
    taken, found = {PROBE, CLICKS}, []
    for collection in collections:
        name, copy = collection.name, 1
        while name in taken:
            copy += 1
            name = f"{collection.name} ({copy})"
        taken.add(name)
        found.append(replace(collection, name=name))
    return found
