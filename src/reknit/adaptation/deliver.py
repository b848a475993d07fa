"""The last part of a run: export, check, index, example searches, report. Killed here, a resume does it again."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from itertools import islice
from typing import Any, Literal

from reknit.adaptation.verdict import Verdict, decide
from reknit.data.text.corpus import Corpus
from reknit.evaluation.retrieval import Evaluation
from reknit.export.check import check_export
from reknit.export.sentence_transformers import save
from reknit.jobs.files import write_json
from reknit.jobs.machine import machine, versions
from reknit.jobs.progress import Progress
from reknit.models.embedding_model import EmbeddingModel
from reknit.models.encode_texts import EncodeTexts
from reknit.models.query_expansion import QueryExpansion
from reknit.report.card import model_card
from reknit.report.html import write_report
from reknit.retrieval.index import Index, build_index
from reknit.retrieval.search import HYBRID_WEIGHT, search
from reknit.runs.config import RunConfig, to_json
from reknit.runs.run_folder import RunFolder
from reknit.sources.distillation_targets import DistillationTargets
from reknit.training.log import MetricsLog
from reknit.version import __version__

logger = logging.getLogger("reknit")
_CHECKED_TEXTS = 16
_EXAMPLE_SEARCHES = 3
_EXAMPLE_HITS = 3


def deliver(
    config: RunConfig,
    folder: RunFolder,
    corpus: Corpus,
    model: EmbeddingModel,
    encode: EncodeTexts,
    model_holds: Literal["adapted", "start"],
    training: dict[str, Any],
    evaluations: list[Evaluation],
    verdict: Verdict,
    plain_verdict: Verdict | None,
    hybrid_weight: float,
    expansion: QueryExpansion | None,
) -> dict[str, Any]:
    """Write model/, index/, result.json and report.html; returns what result.json holds.

    encode: what the index's vectors are made by, of `model`. expansion: of the adapted model, as it was measured.
    plain_verdict: of the adapted model without it.

    Raises ReknitError when the exported model's vectors differ between reknit, transformers and sentence-transformers.
    """
    result: dict[str, Any] = {
        "reknit_version": __version__,
        "command": folder.command(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "seed": config.seed,
        "start": config.start,
        "machine": machine(),
        "versions": versions(),
        "verdict": verdict.to_json(),
        # What the run would have said without labels.
        "probe_verdict": decide(evaluations[:1], seed=config.seed).to_json(),
        "plain_verdict": plain_verdict and plain_verdict.to_json(),
        "model_holds": model_holds,
        "model_expands_queries": model.expansion is not None,
        "model_prompts": model.side_prompts,
        "model_trained_pooling": model.pooling if model.pools_by_training else None,
        "evaluations": [evaluation.to_json() for evaluation in evaluations],
        "hybrid_weight": hybrid_weight,
        "query_expansion": expansion and {"terms": len(expansion.terms), "weight": expansion.weight},
        "training": training,
        "teacher": DistillationTargets.open(folder.distillation_targets).facts
        if folder.distillation_targets.exists()
        else None,
        "corpus": _corpus_facts(corpus),
    }
    save(model, folder.model)
    texts = [passage.full_text for passage in islice(iter(corpus.store), _CHECKED_TEXTS)]
    result["export"] = check_export(model, folder.model, texts).to_json()
    logger.info("export checked: largest difference %.1e", result["export"]["max_abs_diff"])

    _index(folder, corpus, encode, model.dim, hybrid_weight)
    index = Index.open(folder.index)
    result["corpus"]["language"] = index.language
    result["searches"] = _example_searches(index, corpus, model)

    (folder.model / "README.md").write_text(model_card(result, to_json(config)), encoding="utf-8")
    write_report(folder.report, result, MetricsLog(folder.metrics).read(), to_json(config))
    write_json(folder.result, result)
    return result


def _index(folder: RunFolder, corpus: Corpus, encode: EncodeTexts, dim: int, hybrid_weight: float) -> None:
    with Progress() as progress:
        progress.start("index", len(corpus.searched), "passages")
        build_index(
            folder.index,
            _SizedPassages(corpus),
            lambda texts: encode(texts, "document"),
            dim=dim,
            on_progress=progress.update,
            details={"model": "../model", HYBRID_WEIGHT: str(hybrid_weight)},
            language=corpus.language,
        )


class _SizedPassages:
    """The corpus as the index wants it, with a length, so that progress has a total."""

    def __init__(self, corpus: Corpus) -> None:
        self.store = corpus.searched

    def __len__(self) -> int:
        return len(self.store)

    def __iter__(self) -> Iterator[tuple[str, str, str]]:
        return ((passage.id, passage.title, passage.text) for passage in self.store)


def _example_searches(index: Index, corpus: Corpus, model: EmbeddingModel) -> list[dict[str, Any]]:
    queries = list(corpus.held_out.test.queries.values())[:_EXAMPLE_SEARCHES]
    return [{"query": query, "hits": search(index, model, query, top=_EXAMPLE_HITS)} for query in queries]


def _corpus_facts(corpus: Corpus) -> dict[str, Any]:
    held_out = corpus.held_out
    return asdict(corpus.report) | {
        "passages": len(corpus.store),
        "words": corpus.store.words,
        "passage_words": corpus.passage_words,
        "probe": {
            "kind": held_out.kind,
            "dev_queries": len(held_out.dev.queries),
            "test_queries": len(held_out.test.queries),
        },
    }
