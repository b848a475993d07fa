"""The time plan of a run on texts: made once, kept beside the corpus's passages, and followed by a resume too."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property

from reknit.adaptation.rates import Rates, measured_rates
from reknit.adaptation.time_plan import LEAST_TRAINING, READ, TEACH, Sizes, TimePlan, Work, said, time_plan
from reknit.data.retrieval_set import RetrievalSet
from reknit.data.text.corpus import Corpus
from reknit.jobs.files import read_json, write_json
from reknit.jobs.typed_json import from_plain, to_plain
from reknit.models.embedder import Embedder
from reknit.models.embedding_model import EmbeddingModel
from reknit.models.encode_texts import encoder_function
from reknit.runs.config import RunConfig
from reknit.runs.phases import phases_of
from reknit.runs.run_folder import RunFolder
from reknit.sources.queries import QuerySpec, TeacherSpec

logger = logging.getLogger("reknit")

TEACHER = "teacher"
"""The name of a model that teaches and is not searched with."""
_PLAN, _TRAINING = "plan.json", "training-time.json"
_PASSAGES_AGAIN = 128
# Encoding for the teacher stops when it has taken so many times what was planned for it.
_LATE = 1.5


class Planner:
    """Measures how long the models take, plans a run by it, and keeps the plan."""

    def __init__(
        self,
        config: RunConfig,
        folder: RunFolder,
        corpus: Corpus,
        collections: Sequence[RetrievalSet],
        models: Mapping[str, Embedder],
        elapsed: Callable[[], float],
        asked: int = 0,
    ) -> None:
        """models: every start model, by its name, and TEACHER where one was named. elapsed: seconds since the run
        began. asked: queries of users that may train."""
        self._config, self._corpus, self._collections = config, corpus, collections
        self._models, self._elapsed, self._of_users = dict(models), elapsed, asked
        self._plan, self._training = folder.data / _PLAN, folder.data / _TRAINING

    @cached_property
    def rates(self) -> dict[str, Rates]:
        """Of each model."""
        return {name: self._measured(model) for name, model in self._models.items()}

    def seconds_a_passage(self, name: str) -> float:
        """That a model takes to encode one."""
        return self.rates[name].passage

    def provisional(self) -> TimePlan:
        """The plan while it is not known which model is trained: with the slowest one that can be."""
        starts = {name: model for name, model in self._models.items() if name != TEACHER}
        trainable = [name for name, model in starts.items() if isinstance(model, EmbeddingModel)]
        student = self._config.student or max(trainable, key=self.seconds_a_passage)
        return self.plan(student, [name for name in starts if name != student][:2])

    def plan(self, student: str, others: Sequence[str], *, measured: bool = False) -> TimePlan:
        """student, others: names of models: the one that is trained, and those that are searched with beside it.
        measured: whether the start models have been, on the probe."""
        sides = 2 * (2 + len(others))
        work = Work(
            sizes=self._asked(),
            indexed=len(self._corpus.searched) if self._config.index else 0,
            collections={one.name: len(one.documents) for one in self._collections},
            rates=self.rates,
            student=student,
            others=tuple(others),
            teachers=(student, *([TEACHER] if TEACHER in self._models else others[:1])),
            # Alone and with words, and with words and another model.
            systems=2 * sides + 4 * len(others) + 1,
            measured=measured,
        )
        return time_plan(work, self._limit, self._elapsed())

    def forget(self, name: str) -> None:
        """Let a model go that is not needed any more."""
        self._models.pop(name, None)

    def settle(self, student: str, others: Sequence[str]) -> TimePlan:
        """The plan of the run: that of the first call, also of a resume. Nothing is measured or kept where the budget
        does not cover the run."""
        if self._limit is None:
            return TimePlan(1.0, self._asked(), {}, 0.0, None)
        if not self._plan.exists():
            plan = self.plan(student, others, measured=len(self._models.keys() - {TEACHER}) > 1)
            write_json(self._plan, to_plain(plan))
            for number, line in enumerate(said(plan)):
                logger.log(logging.WARNING if number else logging.INFO, line)
        kept: TimePlan = from_plain(TimePlan, read_json(self._plan), "plan")
        return kept

    @property
    def _limit(self) -> float | None:
        """Seconds that the whole run may take; None where its budget says nothing of that."""
        return self._config.budget.seconds if self._config.budget_covers == "run" else None

    def seconds_to_teach(self, plan: TimePlan, spec: TeacherSpec) -> float | None:
        """After which a teacher's encoding stops, done or not."""
        if self._config.budget.seconds is None:
            return None
        return spec.time_share * self._config.budget.seconds if plan.limit is None else _LATE * plan.parts[TEACH]

    def seconds_to_train(self, plan: TimePlan, student: str, taught: float) -> float | None:
        """What is left for training now, or was when this was first called, before a resume; None where the budget
        does not cover the run. taught: seconds that the teacher took, perhaps before a resume."""
        if plan.limit is None or self._limit is None:
            return None
        if not self._training.exists():
            # Machines are shared: it may be slower now than when it was measured.
            slower = self._measured(self._models[student], _PASSAGES_AGAIN).passage / self.rates[student].passage
            passed = max(self._elapsed(), plan.parts[READ] + taught)
            left = plan.limit - passed - slower * plan.seconds_after_training
            write_json(self._training, {"seconds": max(left, LEAST_TRAINING * (plan.training or 0.0))})
        # A resume may be given another budget: what has been made stays, and training gets the difference.
        seconds: float = read_json(self._training)["seconds"] + self._limit - plan.limit
        return max(seconds, 0.0)

    def _measured(self, model: Embedder, passages: int = 2048) -> Rates:
        encode = encoder_function(model, self._config.precision, quiet=True)
        return measured_rates(encode, self._corpus, self._collections, passages)

    def _queries(self, teacher: TeacherSpec) -> int:
        """That there can be: of users, of which the teacher takes half at most, and of the passages."""
        of_passages = teacher.queries_per_passage * len(self._corpus.store)
        return min(teacher.queries, of_passages + min(self._of_users, teacher.queries // 2))

    def _asked(self) -> Sizes:
        config, passages, probe = self._config, len(self._corpus.store), self._corpus.held_out.whole
        teacher = teacher_of(config)
        return Sizes(
            probe_queries=len(probe.queries),
            probe_documents=len(probe.documents),
            teacher_documents=min(teacher.documents, passages) if teacher else 0,
            teacher_queries=self._queries(teacher) if teacher else 0,
            expansion_documents=min(config.expansion.documents, passages) if config.expansion.wanted else 0,
        )


def followed(config: RunConfig, plan: TimePlan) -> RunConfig:
    """The configuration with the samples that the plan has time for."""
    if plan.limit is None:
        return config
    sizes = plan.sizes
    config = replace(
        config,
        probe=replace(config.probe, queries=sizes.probe_queries, documents=sizes.probe_documents),
        expansion=replace(config.expansion, documents=sizes.expansion_documents),
    )
    if config.tune is None or not isinstance(config.tune.data, QuerySpec):
        return config
    teacher = replace(config.tune.data.teacher, documents=sizes.teacher_documents, queries=sizes.teacher_queries)
    return replace(config, tune=replace(config.tune, data=replace(config.tune.data, teacher=teacher)))


def teacher_of(config: RunConfig) -> TeacherSpec | None:
    """The settings of the teacher of the phase that has one; None where nothing learns from a teacher."""
    specs = [phase.recipe.data.teacher for phase in phases_of(config) if isinstance(phase.recipe.data, QuerySpec)]
    return specs[0] if specs else None
