"""A run on texts: probe, teacher, training, verdict, index."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from reknit.adaptation.candidate import Candidate
from reknit.adaptation.deliver import FinishedRun, deliver
from reknit.adaptation.distillation import make_distillation_targets
from reknit.adaptation.hybrid_weight import weigh
from reknit.adaptation.judge import judge
from reknit.adaptation.probe_roles import ProbeRoles
from reknit.adaptation.train import train
from reknit.data.retrieval_set import RetrievalSet
from reknit.data.text.corpus import Corpus
from reknit.data.text.holdout import PROBE
from reknit.evaluation.beir import load_beir
from reknit.jobs.interrupt import listen_for_stop
from reknit.models.embedding_model import EmbeddingModel
from reknit.models.encode_texts import EncodeTexts, cached, encoder_function
from reknit.runs.config import RunConfig
from reknit.runs.corpus import prepare_corpus
from reknit.runs.kind import RunKind, not_here
from reknit.runs.phases import check_parts, check_rules, phases_of, train_phases
from reknit.runs.result import RunResult
from reknit.runs.run_folder import RunFolder
from reknit.runs.start import build_start, load_start
from reknit.sources.queries import QuerySpec
from reknit.training.team import Team

logger = logging.getLogger("reknit")


class TextRun(RunKind):
    """collections: with labelled queries. given: the start model, None where one is built. corpus, model: once
    `prepare` has been called."""

    reads = "texts"
    collections: list[RetrievalSet]
    given: EmbeddingModel | None
    corpus: Corpus
    model: EmbeddingModel

    def check(self, settings: Sequence[str]) -> None:
        """Everything that a text run has can be set."""

    def load(self) -> None:
        self.collections = _named_apart([load_beir(path) for path in self.config.eval])
        self.given = load_start(self.config)

    def prepare(self) -> None:
        config, folder = self.config, self.folder
        excluded = _query_texts(self.collections)
        self.corpus = prepare_corpus(config, folder, excluded, indexed=config.index, reader=self.given)
        check_parts(config, self.corpus)
        self.model = self.given or build_start(config, folder, self.corpus)
        check_rules(config, self.model.encoder)

    def help_to_train(self, team: Team) -> None:
        corpus = prepare_corpus(self.config, self.folder, ())
        model = load_start(self.config) or build_start(self.config, self.folder, corpus)
        with listen_for_stop() as stop:
            train_phases(self.config, self.folder, corpus, model, not_here, stop, team)

    def train_and_deliver(self, team: Team) -> dict[str, Any]:
        config, folder, corpus, model = self.config, self.folder, self.corpus, self.model
        before = "".join(f", {kind} prompt {text!r}" for kind, text in model.side_prompts.items())
        logger.info("start: %s, %d layers of width %d%s", config.start, model.encoder.depth, model.encoder.dim, before)
        start = Candidate("start", model, cached(encoder_function(model, config.precision)))
        roles = ProbeRoles(config, corpus.held_out)

        _teach(config, folder, corpus, start.encode)
        adapted, training = train(config, folder, corpus, start, roles, team)
        if config.verdict or config.index:
            start, adapted = weigh(start, adapted, roles.choosing, config)
        judgement = judge(start, adapted, roles.judging, self.collections, config.seed) if config.verdict else None
        keeps_start = config.keep == "best" and judgement is not None and judgement.verdict.use == "start"
        chosen = start if keeps_start else adapted
        finished = FinishedRun(config, folder, corpus, adapted, chosen, training, roles.judged_by_all, judgement)
        return deliver(finished).to_json()

    @staticmethod
    def show(result: dict[str, Any], out: Path) -> None:
        from rich.console import Console

        from reknit.report.table import results_table

        found = RunResult.from_json(result)
        results_table(found, Console())
        for search in found.searches or ():
            print(f"\nsearch: {search.query}")
            for hit in search.hits:
                print(f"  {hit.score:.4f}  {hit.title or hit.text[:80]!r}")
        places = [f"model: {out / 'model'}", f"report: {out / 'report.html'}"]
        places += [] if found.searches is None else [f'search: reknit search {out} "..."']
        print("\n" + "   ".join(places))


def _teach(config: RunConfig, folder: RunFolder, corpus: Corpus, encode_start: EncodeTexts) -> None:
    """Make the distillation targets of the phase that learns from a teacher, if there is one."""
    for phase in phases_of(config):
        if isinstance(phase.recipe.data, QuerySpec):
            spec, limit = phase.recipe.data.teacher, config.budget.seconds
            seconds = None if limit is None else spec.time_share * limit
            make_distillation_targets(
                folder.distillation_targets, corpus, encode_start, spec, seconds=seconds, seed=config.seed
            )


def _query_texts(collections: Iterable[RetrievalSet]) -> set[str]:
    return {text for collection in collections for text in collection.queries.values()}


def _named_apart(collections: list[RetrievalSet]) -> list[RetrievalSet]:
    """The same collections, none of them named like another or like the corpus's own probe."""
    taken = {PROBE}
    for place, collection in enumerate(collections):
        name, copy = collection.name, 1
        while name in taken:
            copy += 1
            name = f"{collection.name} ({copy})"
        taken.add(name)
        collections[place] = replace(collection, name=name)
    return collections
