"""The last part of a run: export, check, index, example searches, report. Killed here, a resume does it again."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from itertools import islice

from reknit.adaptation.candidate import Candidate
from reknit.adaptation.judge import Judgement
from reknit.data.text.corpus import Corpus
from reknit.export.check import check_export
from reknit.export.sentence_transformers import save
from reknit.jobs.files import remove, write_json
from reknit.jobs.machine import machine, versions
from reknit.jobs.progress import Progress
from reknit.jobs.typed_json import from_plain
from reknit.models.embedding_model import EmbeddingModel
from reknit.report.card import model_card
from reknit.report.html import write_report
from reknit.retrieval.description import HYBRID_WEIGHT
from reknit.retrieval.index import Hit, Index, build_index
from reknit.retrieval.search import search
from reknit.runs.config import RunConfig, to_json
from reknit.runs.result import (
    CorpusFacts,
    ExpansionFacts,
    ExportCheck,
    ProbeFacts,
    RunResult,
    Search,
    TeacherFacts,
    Training,
)
from reknit.runs.run_folder import RunFolder
from reknit.sources.distillation_targets import DistillationTargets
from reknit.training.log import MetricsLog
from reknit.version import __version__

logger = logging.getLogger("reknit")
_CHECKED_TEXTS = 16
_EXAMPLE_SEARCHES = 3
_EXAMPLE_HITS = 3


@dataclass(frozen=True)
class FinishedRun:
    """What a run has come to, before anything of it is delivered.

    adapted: what training made. chosen: what model/ will hold, `adapted` or the start model. judged_by_all: as
    `ProbeFacts` has it. judgement: None where the run was not judged.
    """

    config: RunConfig
    folder: RunFolder
    corpus: Corpus
    adapted: Candidate
    chosen: Candidate
    training: Training
    judged_by_all: bool
    judgement: Judgement | None


def deliver(finished: FinishedRun) -> RunResult:
    """Write model/, index/ (where the run is to have one), result.json and report.html; returns what result.json holds.

    Raises ReknitError when the exported model's vectors differ between reknit, transformers and sentence-transformers.
    """
    folder, corpus = finished.folder, finished.corpus
    model, language = finished.chosen.finished(), corpus.language
    save(model, folder.model)
    texts = [passage.full_text for passage in islice(iter(corpus.store), _CHECKED_TEXTS)]
    export = check_export(model, folder.model, texts)
    logger.info("export checked: largest difference %.1e", export.max_abs_diff)
    searches = None
    if finished.config.index:
        searches = _example_searches(_index(finished, language), finished, model)
    else:
        # One that the run had before holds the vectors of the model that it had then.
        remove(folder.index)
    result = _result(finished, model, language, export, searches)
    config = to_json(finished.config)
    (folder.model / "README.md").write_text(model_card(result, config), encoding="utf-8")
    write_report(folder.report, result, MetricsLog(folder.metrics).read(), config)
    write_json(folder.result, result.to_json())
    return result


def _index(finished: FinishedRun, language: str) -> Index:
    folder, corpus, chosen = finished.folder, finished.corpus, finished.chosen
    with Progress() as progress:
        progress.start("index", len(corpus.searched), "passages")
        build_index(
            folder.index,
            _SizedPassages(corpus),
            lambda texts: chosen.encode(texts, "document"),
            dim=chosen.model.dim,
            on_progress=progress.update,
            details={"model": "../model", HYBRID_WEIGHT: str(chosen.hybrid_weight)},
            language=language,
        )
    return Index.open(folder.index)


class _SizedPassages:
    """The corpus as the index wants it, with a length, so that progress has a total."""

    def __init__(self, corpus: Corpus) -> None:
        self.store = corpus.searched

    def __len__(self) -> int:
        return len(self.store)

    def __iter__(self) -> Iterator[tuple[str, str, str]]:
        return ((passage.id, passage.title, passage.text) for passage in self.store)


def _example_searches(index: Index, finished: FinishedRun, model: EmbeddingModel) -> tuple[Search, ...]:
    queries = list(finished.corpus.held_out.test.queries.values())[:_EXAMPLE_SEARCHES]
    weight = finished.chosen.hybrid_weight
    assert weight is not None

    def hits(query: str) -> tuple[Hit, ...]:
        return tuple(search(index, model, query, top=_EXAMPLE_HITS, hybrid_weight=weight))

    return tuple(Search(query, hits(query)) for query in queries)


def _result(
    finished: FinishedRun,
    model: EmbeddingModel,
    language: str,
    export: ExportCheck,
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
        verdict=judgement.verdict if judgement else None,
        probe_verdict=judgement.probe_verdict if judgement else None,
        plain_verdict=judgement.plain if judgement else None,
        model_holds=finished.chosen.name,
        model_expands_queries=model.expansion is not None,
        model_prompts=model.side_prompts,
        model_trained_pooling=model.pooling if model.pools_by_training else None,
        evaluations=judgement.evaluations if judgement else (),
        hybrid_weight=finished.chosen.hybrid_weight,
        query_expansion=ExpansionFacts(len(expansion.terms), expansion.weight) if expansion else None,
        training=finished.training,
        teacher=teacher,
        corpus=_corpus_facts(finished, language),
        export=export,
        searches=searches,
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
