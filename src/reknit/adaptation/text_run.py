"""A run on texts: probe, teacher, training, verdict, index."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from reknit.adaptation.candidate import START, Candidate
from reknit.adaptation.changed_results import changed_searches
from reknit.adaptation.deliver import FinishedRun, deliver
from reknit.adaptation.distillation import make_distillation_targets
from reknit.adaptation.expansion import make_expansion
from reknit.adaptation.given import Given, check_unchanged
from reknit.adaptation.judge import Judge, Judgement
from reknit.adaptation.planning import TEACHER, Planner, followed, teacher_of
from reknit.adaptation.probe_roles import ProbeRoles
from reknit.adaptation.real_queries import RealQueries, real_queries
from reknit.adaptation.starts import choose_starts
from reknit.adaptation.time_plan import TimePlan
from reknit.adaptation.train import train
from reknit.data.text.corpus import Corpus
from reknit.errors import ReknitError
from reknit.jobs.interrupt import listen_for_stop
from reknit.models.embedder import Embedder
from reknit.models.embedding_model import EmbeddingModel
from reknit.models.encode_texts import EncodeTexts, cached, encoder_function
from reknit.retrieval.system import SearchSystem
from reknit.runs.config import PromptSpec, RunConfig
from reknit.runs.corpus import prepare_corpus
from reknit.runs.kind import RunKind, not_here
from reknit.runs.phases import check_parts, check_rules, train_phases
from reknit.runs.result import ChangedSearches, RunResult
from reknit.runs.start import build_start, load_start
from reknit.sources.distillation_targets import seconds_taught
from reknit.training.team import Team

logger = logging.getLogger("reknit")


class TextRun(RunKind):
    """given: beside the corpus. Once `prepare` has been called: corpus; real, what is used of the users' queries;
    start, which a copy of is trained, and the configuration names as the start;
    beside, other start models; have, the name of the start model that the user has; trains, of the one that is trained;
    schedule and plan, of the run's time."""

    reads = "texts"
    given: Given
    corpus: Corpus
    real: RealQueries
    start: Candidate
    beside: tuple[Candidate, ...]
    have: str
    trains: str
    schedule: Planner
    plan: TimePlan

    def check(self, settings: Sequence[str]) -> None:
        """Everything that a text run has can be set. Raises ReknitError for a teacher that nothing learns from."""
        if self.config.teacher is not None and teacher_of(self.config) is None:
            raise ReknitError(
                f"--teacher {self.config.teacher}: no phase of this run learns from a teacher; leave it out"
            )

    def load(self) -> None:
        self.given = Given.load(self.config)

    def prepare(self) -> None:
        self.read()
        check_parts(self.config, self.corpus)
        self._start()
        check_rules(self.config, self.start.trainable.encoder)

    def read(self) -> None:
        """Bring the corpus to disk and cut it into passages."""
        config, given = self.config, self.given
        labelled = given.labelled_queries
        self.corpus = prepare_corpus(config, self.folder, labelled, indexed=config.index, reader=given.reader)
        if config.queries or config.pairs:
            check_unchanged(config, self.folder)
        self.real = real_queries(given.log, given.pairs, self.corpus, labelled, config.seed)
        if self.real.texts and teacher_of(config) is None:
            logger.warning(
                "users' queries train nothing in this run, which has no teacher; they shape the probe, and pairs judge"
            )

    def planner(self, models: dict[str, Embedder]) -> Planner:
        """Measures the start models, and the teacher that was named, and plans the run by it."""
        models = models if self.given.teacher is None else models | {TEACHER: self.given.teacher}
        judging = [] if self.real.judging is None else [self.real.judging]
        return Planner(
            self.config,
            self.folder,
            self.corpus,
            (*self.given.collections, *judging),
            models,
            lambda: self.elapsed,
            asked=len(self.real.texts),
        )

    def start_models(self) -> dict[str, Embedder]:
        """Every start model by its name; the only one is called START, and built where none was given."""
        if len(self.given.starts) > 1:
            return {one.name: one.model for one in self.given.starts}
        (model,) = [one.model for one in self.given.starts] or [build_start(self.config, self.folder, self.corpus)]
        return {START: model}

    def _start(self) -> None:
        """Have the model that is trained, the others, the name of the one that the user has, and a plan."""
        models = self.start_models()
        self.schedule = self.planner(models)
        if len(models) == 1:
            model = cast(EmbeddingModel, models[START])
            self.start = Candidate(START, model, cached(encoder_function(model, self.config.precision)))
            self.beside, self.have, self.trains = (), START, START
            self.plan = self.schedule.settle(START, ())
            return
        encoders = {name: cached(encoder_function(model, self.config.precision)) for name, model in models.items()}
        probe = ProbeRoles(
            followed(self.config, self.schedule.provisional()), self.corpus.held_out, self.real.sample
        ).choosing
        starts = choose_starts(
            self.given.starts, encoders, probe, self.folder, self.schedule.seconds_a_passage, self.config.student
        )
        self.trains = starts.student.name
        self.plan = self.schedule.settle(self.trains, [one.name for one in starts.others])
        # Prompts that were given are the first model's, which other processes must not give to another one.
        prompts = self.config.prompts if starts.student is starts.have else PromptSpec()
        self.config = replace(self.config, start=starts.student.path, prompts=prompts)
        self.start = Candidate(START, starts.student.model, encoders[self.trains])
        self.beside = tuple(Candidate(one.name, one.model, encoders[one.name]) for one in starts.others)
        self.have = START if starts.have is starts.student else starts.have.name

    def help_to_train(self, team: Team) -> None:
        corpus = prepare_corpus(self.config, self.folder, ())
        model = load_start(self.config) or build_start(self.config, self.folder, corpus)
        with listen_for_stop() as stop:
            train_phases(self.config, self.folder, corpus, model, not_here, stop, team)

    def train_and_deliver(self, team: Team) -> dict[str, Any]:
        config, folder, corpus, start = followed(self.config, self.plan), self.folder, self.corpus, self.start
        model = start.trainable
        before = "".join(f", {kind} prompt {text!r}" for kind, text in model.side_prompts.items())
        logger.info("start: %s, %d layers of width %d%s", config.start, model.encoder.depth, model.encoder.dim, before)
        roles = ProbeRoles(config, corpus.held_out, self.real.sample)

        self._teach(config)
        self.given = replace(self.given, teacher=None)  # which may be large
        self.schedule.forget(TEACHER)
        config = self._with_time_left(config)
        adapted, training = train(config, folder, corpus, start, roles, team)
        beside = [_expanded(candidate, config, corpus, roles) for candidate in (start, *self.beside)]
        candidates = [adapted, *beside]
        judge = Judge(candidates, self.have, roles, config) if config.verdict or config.index else None
        judgement = (
            judge.judge(self.given.collections, len(corpus.searched), self.real.judging)
            if judge and config.verdict
            else None
        )
        search = _searched_by(judge, judgement, config)
        finished = FinishedRun(
            config=self.config,
            folder=folder,
            corpus=corpus,
            candidates=tuple(candidates),
            training=training,
            judged_by_all=roles.judged_by_all,
            judgement=judgement,
            search=search,
            systems=judge.systems if judge else {},
            changed=self._changed(judge, search, config) if judge and search and judgement else None,
        )
        return deliver(finished).to_json()

    def _teach(self, config: RunConfig) -> None:
        """Make the distillation targets of the phase that learns from a teacher, if there is one."""
        if spec := teacher_of(config):
            make_distillation_targets(
                self.folder.distillation_targets,
                self.corpus,
                [self.start.encode, *self._others_that_teach()],
                spec,
                seconds=self.schedule.seconds_to_teach(self.plan, spec),
                seed=config.seed,
                real=self.real,
            )

    def _others_that_teach(self) -> list[EncodeTexts]:
        """Beside the start model: who was named, else the best of the other start models."""
        if self.given.teacher is None:
            return [candidate.encode for candidate in self.beside[:1]]
        return [cached(encoder_function(self.given.teacher, self.config.precision))]

    def _changed(self, judge: Judge, search: SearchSystem, config: RunConfig) -> ChangedSearches | None:
        """What becomes of the users' queries, if there are any."""
        if not self.real.sample:
            return None
        return changed_searches(
            self.real.sample,
            self.corpus,
            judge.encoders,
            before=(judge.have, judge.systems[judge.have]),
            now=(next(name for name, system in judge.systems.items() if system == search), search),
            passages=config.expansion.documents,
            shown=config.show_queries,
            seed=config.seed,
        )

    def _with_time_left(self, config: RunConfig) -> RunConfig:
        """With what is left for training as its budget, where the budget covers the run."""
        taught = seconds_taught(self.folder.distillation_targets)
        seconds = self.schedule.seconds_to_train(self.plan, self.trains, taught)
        # Training counts what its teacher took.
        return config if seconds is None else replace(config, budget=replace(config.budget, seconds=seconds + taught))

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


def _expanded(start: Candidate, config: RunConfig, corpus: Corpus, roles: ProbeRoles) -> Candidate:
    """A start model with an expansion of its own: what can be had without training. A model that was made of nothing
    but this corpus knows nothing yet, one that was adapted before has an expansion, and one that another library runs
    is saved as it is."""
    its_own = start.model.expansion is not None or not isinstance(start.model, EmbeddingModel)
    if config.from_scratch or not config.expansion.wanted or its_own:
        return start
    made = make_expansion(corpus, start.name, start.encode, config.expansion, roles.choosing, config.seed)
    return replace(start, expansion=made)


def _searched_by(judge: Judge | None, judgement: Judgement | None, config: RunConfig) -> SearchSystem | None:
    """What the verdict says; words and the adapted model where there is none, or the run keeps what it trained."""
    if judge is None:
        return None
    if judgement is not None and config.keep == "best":
        return judge.systems[judgement.systems.use]
    return judge.adapted_system
