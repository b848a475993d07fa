"""The last part of a run: export, check, index, example searches, report. Killed here, a resume does it again."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cached_property
from itertools import islice
from pathlib import Path

import numpy as np

from reknit.adaptation.candidate import Candidate
from reknit.adaptation.costs import system_costs
from reknit.adaptation.judge import Judgement
from reknit.data.text.corpus import Corpus
from reknit.export.check import check_export
from reknit.export.sentence_transformers import save
from reknit.jobs.files import remove, write_json
from reknit.jobs.machine import machine, versions
from reknit.jobs.progress import Progress
from reknit.jobs.typed_json import from_plain
from reknit.models.embedder import Embedder, ForeignEmbedder
from reknit.models.embedding_model import EmbeddingModel
from reknit.report.card import model_card
from reknit.report.html import write_report
from reknit.retrieval.build import IndexedVectors
from reknit.retrieval.index import Index, build_index
from reknit.retrieval.search import search_by
from reknit.retrieval.system import SearchSystem
from reknit.runs.config import RunConfig, to_json
from reknit.runs.result import (
    ChangedSearches,
    CorpusFacts,
    ExpansionFacts,
    ExportCheck,
    ProbeFacts,
    RunResult,
    Search,
    SystemCost,
    TeacherFacts,
    Training,
)
from reknit.runs.run_folder import RunFolder
from reknit.sources.distillation_targets import DistillationTargets, seconds_taught
from reknit.training.log import MetricsLog
from reknit.version import __version__

logger = logging.getLogger("reknit")
_CHECKED_TEXTS = 16
_EXAMPLE_SEARCHES = 3
_EXAMPLE_HITS = 3


@dataclass(frozen=True)
class FinishedRun:
    """What a run has come to, before anything of it is delivered.

    candidates: the adapted model first, then the start model. judged_by_all: as `ProbeFacts` has it. judgement: None
    where the run was not judged. search: how the index is searched; None where nothing asked for it. systems: all that
    were compared. changed: what becomes of users' queries.
    """

    config: RunConfig
    folder: RunFolder
    corpus: Corpus
    candidates: tuple[Candidate, ...]
    training: Training
    judged_by_all: bool
    judgement: Judgement | None
    search: SearchSystem | None
    systems: dict[str, SearchSystem]
    changed: ChangedSearches | None = None

    @property
    def adapted(self) -> Candidate:
        return self.candidates[0]

    @cached_property
    def sides(self) -> dict[str, Candidate]:
        """Whose vectors the run searches by: {name of the vectors: their model}, that of model/ first.

        Where the index is searched by words alone, or nothing was said of it, it is the adapted model, unless its
        verdict was to keep the start model.
        """
        by_side = {side: candidate for candidate in self.candidates for side in candidate.sides}
        if self.search is not None and self.search.models:
            named = [side for side in by_side if side in self.search.models]
            return {side: by_side[side] for side in named}
        keeps_start = self.config.keep == "best" and self.judgement and self.judgement.verdict.use == "start"
        kept = self.candidates[1] if keeps_start else self.adapted
        return {kept.plain if keeps_start else kept.expanded: kept}

    @property
    def main(self) -> Candidate:
        """What model/ holds."""
        return next(iter(self.sides.values()))


def deliver(finished: FinishedRun) -> RunResult:
    """Write model/, models/, index/ (where the run is to have one), result.json and report.html; returns what
    result.json holds.

    Raises ReknitError when the exported model's vectors differ between reknit, transformers and sentence-transformers.
    """
    folder, corpus = finished.folder, finished.corpus
    language = corpus.language
    models = {side: candidate.finished(side) for side, candidate in finished.sides.items()}
    model = next(iter(models.values()))
    _save(model, folder.model)
    places = _save_others(finished, models)
    export = None
    if isinstance(model, EmbeddingModel):
        texts = [passage.full_text for passage in islice(iter(corpus.store), _CHECKED_TEXTS)]
        export = check_export(model, folder.model, texts)
        logger.info("export checked: largest difference %.1e", export.max_abs_diff)
    searches = None
    if finished.config.index:
        searches = _example_searches(_index(finished, language), finished, models)
    else:
        # One that the run had before holds the vectors of the model that it had then.
        remove(folder.index)
    result = _result(finished, model, places, language, export, searches)
    config = to_json(finished.config)
    (folder.model / "README.md").write_text(model_card(result, config), encoding="utf-8")
    write_report(folder.report, result, MetricsLog(folder.metrics).read(), config)
    write_json(folder.result, result.to_json())
    return result


def _save(model: Embedder, place: Path) -> None:
    if isinstance(model, EmbeddingModel):
        save(model, place)
    elif isinstance(model, ForeignEmbedder):
        model.save(place)


def _save_others(finished: FinishedRun, models: dict[str, Embedder]) -> dict[str, str]:
    """The folder of each side's model within the run. What is searched with beside model/ lies in models/, and so does
    the adapted model where the verdict did not take it."""
    folder = finished.folder
    remove(folder.models)
    places = {}
    for number, (side, candidate) in enumerate(finished.sides.items()):
        place = folder.models / candidate.name
        places[side] = "model" if number == 0 else f"{folder.models.name}/{candidate.name}"
        if number:
            _save(models[side], place)
    adapted = finished.adapted
    if adapted not in finished.sides.values():
        _save(adapted.finished(adapted.expanded), folder.models / adapted.name)
    return places


def _index(finished: FinishedRun, language: str) -> Index:
    folder, corpus = finished.folder, finished.corpus
    (name, first), *others = finished.sides.items()
    with Progress() as progress:
        progress.start("index", len(corpus.searched), "passages")
        build_index(
            folder.index,
            _SizedPassages(corpus),
            _encode_documents(first),
            dim=first.model.dim,
            name=name,
            others=[
                IndexedVectors(side, _encode_documents(of), of.model.dim, f"../{folder.models.name}/{of.name}")
                for side, of in others
            ],
            system=finished.search,
            on_progress=progress.update,
            details={"model": "../model"},
            language=language,
        )
    return Index.open(folder.index)


def _encode_documents(candidate: Candidate) -> Callable[[list[str]], np.ndarray]:
    return lambda texts: candidate.encode(texts, "document")


class _SizedPassages:
    """The corpus as the index wants it, with a length, so that progress has a total."""

    def __init__(self, corpus: Corpus) -> None:
        self.store = corpus.searched

    def __len__(self) -> int:
        return len(self.store)

    def __iter__(self) -> Iterator[tuple[str, str, str]]:
        return ((passage.id, passage.title, passage.text) for passage in self.store)


def _example_searches(index: Index, finished: FinishedRun, models: Mapping[str, Embedder]) -> tuple[Search, ...]:
    queries = list(finished.corpus.held_out.test.queries.values())[:_EXAMPLE_SEARCHES]
    return tuple(Search(query, tuple(search_by(index, models, query, top=_EXAMPLE_HITS))) for query in queries)


def _result(
    finished: FinishedRun,
    model: Embedder,
    places: dict[str, str],
    language: str,
    export: ExportCheck | None,
    searches: tuple[Search, ...] | None,
) -> RunResult:
    config, folder, judgement = finished.config, finished.folder, finished.judgement
    expansion = finished.adapted.expansion
    teacher = None
    if folder.distillation_targets.exists():
        teacher = from_plain(TeacherFacts, DistillationTargets.open(folder.distillation_targets).facts, "teacher")
    return RunResult(
        reknit_version=__version__,
        command=folder.command(),
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        seed=config.seed,
        start=config.start,
        machine=machine(),
        versions=versions(),
        system_verdict=judgement.systems if judgement else None,
        probe_system_verdict=judgement.probe_systems if judgement else None,
        verdict=judgement.verdict if judgement else None,
        probe_verdict=judgement.probe_verdict if judgement else None,
        plain_verdict=judgement.plain if judgement else None,
        model_holds=finished.main.name,
        model_expands_queries=isinstance(model, EmbeddingModel) and model.expansion is not None,
        model_prompts=model.side_prompts,
        model_trained_pooling=_trained_pooling(model),
        evaluations=judgement.evaluations if judgement else (),
        costs=_costs(finished),
        search=finished.search,
        sides=places,
        query_expansion=ExpansionFacts(len(expansion.terms), expansion.weight) if expansion else None,
        training=finished.training,
        teacher=teacher,
        corpus=_corpus_facts(finished, language),
        export=export,
        searches=searches,
        changed_searches=finished.changed,
    )


def _trained_pooling(model: Embedder) -> str | None:
    return model.pooling if isinstance(model, EmbeddingModel) and model.pools_by_training else None


def _costs(finished: FinishedRun) -> dict[str, SystemCost]:
    if finished.judgement is None:
        return {}
    seconds = seconds_taught(finished.folder.distillation_targets)
    return system_costs(
        finished.systems,
        finished.judgement.costs,
        trained=dict.fromkeys(finished.adapted.sides, finished.training.seconds + seconds),
        index=finished.folder.index,
        indexed=list(finished.sides),
    )


def _corpus_facts(finished: FinishedRun, language: str) -> CorpusFacts:
    corpus, held_out = finished.corpus, finished.corpus.held_out
    facts = asdict(corpus.report)
    return CorpusFacts(
        **facts | {"problems": tuple(facts["problems"])},
        passages=len(corpus.store),
        words=corpus.store.words,
        passage_words=corpus.passage_words,
        probe=ProbeFacts(held_out.kind, len(held_out.dev.queries), len(held_out.test.queries), finished.judged_by_all),
        language=language,
    )
