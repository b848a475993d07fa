"""How a run spends its time, so that its budget covers the whole of it.

Nearly all of a run that is not training is encoding: the teacher, the probe, the query expansion, labelled collections
and the index each need the vectors of many texts by several models. How long that takes is known beforehand from rates
that are measured on the spot; what it leaves of the budget is for training. Where it would leave too little, the
samples of probe and teacher become smaller by the same share and that of the expansion by half as much; the index
stays whole.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from reknit.adaptation.rates import Rates
from reknit.jobs.progress import format_duration

SHARES = (1.0, 0.8, 0.6, 0.5, 0.4, 0.3, 0.2)
"""Of the samples that the settings ask for; the first that leaves time to train is taken. Below the last one training
and its checks are worth nothing: with a teacher of 500 passages and a probe of 100 queries, nDCG@10 on scifact fell by
.037, and the probe did not see it."""
LEAST_TRAINING = 0.35
"""Of the time that is left when the plan is made: for pseudo-queries and training together, at least."""
READ, TEACH, TRAIN, EVALUATE = "read", "teach", "train", "evaluate on labelled queries"
"""The names of four parts; the last one comes on top of a budget, so that labels do not cost training."""
FEWEST_QUERIES, FEWEST_PASSAGES = 200, 1000
_LEAST_LEFT = 0.2  # of the budget, where reading has taken more than the rest

# Training on a query takes about so many times as long as encoding it: backward too, with dropout, and the optimiser
# (measured on small batches of short queries).
_STEP = 8.0
# Seconds for a query of the probe in each system, at all weights and with all measures; and what a run has besides:
# loading libraries, an export checked by other libraries, a report.
_RANKING, _ELSE = 1.2e-3, 12.0


@dataclass(frozen=True)
class Sizes:
    """How many texts each sample of a run has."""

    probe_queries: int
    probe_documents: int
    teacher_documents: int
    teacher_queries: int
    expansion_documents: int

    def at(self, share: float) -> Sizes:
        """The same share of all, but not below the fewest that are of any use. Query expansion keeps half of the rest
        too: most of its passages are encoded for the index anyway."""

        def some(number: int, fewest: int) -> int:
            return min(number, max(fewest, round(share * number)))

        return Sizes(
            probe_queries=some(self.probe_queries, FEWEST_QUERIES),
            probe_documents=some(self.probe_documents, FEWEST_PASSAGES),
            teacher_documents=some(self.teacher_documents, FEWEST_PASSAGES),
            teacher_queries=some(self.teacher_queries, FEWEST_QUERIES),
            expansion_documents=some(self.expansion_documents, round((1 + share) / 2 * self.expansion_documents)),
        )


@dataclass(frozen=True)
class Work:
    """What a run has to do.

    sizes: as the settings ask for them, where the corpus has so many; 0 for what the run does not do. indexed:
    passages of the index, 0 where there will be none. collections: documents of each labelled one. rates: of every
    start model, by its name. student: that is trained. others: searched with beside it. teachers: the student
    and whoever teaches it. systems: that are compared. measured: whether the start models have been, on the probe.
    """

    sizes: Sizes
    indexed: int
    collections: Mapping[str, int]
    rates: Mapping[str, Rates]
    student: str
    others: Sequence[str]
    teachers: Sequence[str]
    systems: int
    measured: bool = False


@dataclass(frozen=True)
class TimePlan:
    """share: of the samples that the settings ask for. sizes: what is left of them. parts: {part of the run: seconds},
    in order. least: the smallest budget that leaves time to train, in seconds. limit: that it was made for, None where
    the budget says nothing of time; then training is not among the parts."""

    share: float
    sizes: Sizes
    parts: dict[str, float]
    least: float
    limit: float | None

    @property
    def seconds(self) -> float:
        """Of all that the budget covers, as far as they are known."""
        return sum(seconds for name, seconds in self.parts.items() if name != EVALUATE)

    @property
    def seconds_after_training(self) -> float:
        """Of the parts that come after it."""
        names = list(self.parts)
        return sum(self.parts[name] for name in names[names.index(TRAIN) + 1 :] if name != EVALUATE)

    @property
    def training(self) -> float | None:
        """Seconds of training."""
        return self.parts.get(TRAIN)


def time_plan(work: Work, limit: float | None, elapsed: float) -> TimePlan:
    """limit: seconds that the whole run may take, None where the budget says nothing of time. elapsed: those that have
    passed already."""
    if limit is None:
        estimate = _Estimate(work, work.sizes)
        return TimePlan(1.0, work.sizes, estimate.parts(elapsed, work.sizes.teacher_queries), 0.0, None)
    estimates = {share: _Estimate(work, work.sizes.at(share)) for share in SHARES}
    least = {share: elapsed + estimate.fixed / (1 - LEAST_TRAINING) for share, estimate in estimates.items()}
    share = next((share for share in SHARES if least[share] <= limit), SHARES[-1])
    estimate = estimates[share]
    room = max(limit - elapsed - estimate.fixed, LEAST_TRAINING * max(limit - elapsed, _LEAST_LEFT * limit))
    queries = estimate.queries_in(room)
    training = max(room - estimate.asking(queries), 0.0)
    sizes = replace(estimate.sizes, teacher_queries=queries)
    return TimePlan(share, sizes, estimate.parts(elapsed, queries, training), least[SHARES[-1]], limit)


class _Estimate:
    """Seconds of the parts of a run whose samples have these sizes."""

    def __init__(self, work: Work, sizes: Sizes) -> None:
        self.work, self.sizes = work, sizes
        self._student = work.rates[work.student]
        self._others = [work.rates[name] for name in work.others]
        self._teachers = [work.rates[name] for name in work.teachers] if sizes.teacher_documents else []

    @property
    def fixed(self) -> float:
        """All but pseudo-queries and training."""
        return self._measuring + self._ranking + self._expanding + self._judging + self._indexing + _ELSE

    def parts(self, elapsed: float, queries: int, training: float | None = None) -> dict[str, float]:
        found = {
            READ: elapsed,
            "measure the start models": self._measuring,
            TEACH: self._ranking + self.asking(queries),
            **({} if training is None else {TRAIN: training}),
            "expand queries": self._expanding,
            "judge": self._judging,
            EVALUATE: self._evaluating,
            "index": self._indexing,
            "export and report": _ELSE,
        }
        return {name: of for name, of in found.items() if of or name == TRAIN}

    def asking(self, queries: int) -> float:
        """Of pseudo-queries."""
        return queries * sum(rates.query for rates in self._teachers)

    def queries_in(self, room: float) -> int:
        """As many pseudo-queries as can be encoded, and seen once in training, in `room` seconds."""
        if not self._teachers:
            return 0
        seen = int(room / (self.asking(1) + _STEP * self._student.query))
        return min(self.sizes.teacher_queries, max(1, seen))

    def _probe(self, rates: Rates) -> float:
        return self.sizes.probe_documents * rates.passage + self.sizes.probe_queries * rates.query

    @property
    def _measuring(self) -> float:
        if self.work.measured:
            return 0.0
        # A model that only teaches is not searched with.
        only_teaching = set(self.work.teachers) - {self.work.student, *self.work.others}
        return sum(self._probe(rates) for name, rates in self.work.rates.items() if name not in only_teaching)

    @property
    def _ranking(self) -> float:
        return self.sizes.teacher_documents * sum(rates.passage for rates in self._teachers)

    @property
    def _expanding(self) -> float:
        new = self.sizes.expansion_documents * self._student.passage  # by the adapted weights
        for name in (self.work.student, *self.work.others):
            new += max(0, self.sizes.expansion_documents - self._taught(name)) * self.work.rates[name].passage
        return new

    @property
    def _judging(self) -> float:
        # Half of all times the weights halfway between the two are tried too.
        return 1.5 * self._probe(self._student) + self.work.systems * _RANKING * self.sizes.probe_queries

    @property
    def _evaluating(self) -> float:
        return sum(
            # By the weights of the start and by the adapted ones.
            number * (2 * self._student.documents[name] + sum(rates.documents[name] for rates in self._others))
            for name, number in self.work.collections.items()
        )

    @property
    def _indexing(self) -> float:
        # What the query expansion, and of another model the teacher, needs of it is encoded by then.
        expanded = self.sizes.expansion_documents
        new = max(0, self.work.indexed - expanded) * self._student.passage
        for name in self.work.others[:1]:
            new += max(0, self.work.indexed - max(expanded, self._taught(name))) * self.work.rates[name].passage
        return new

    def _taught(self, name: str) -> int:
        """Passages that the model has encoded as a teacher."""
        return self.sizes.teacher_documents if name in self.work.teachers else 0


def said(plan: TimePlan) -> list[str]:
    """The plan in a line, and another one where it takes longer than it may."""
    parts = ", ".join(f"{name} {format_duration(of)}" for name, of in plan.parts.items() if name != EVALUATE)
    lines = [f"plan: {parts}; in all {format_duration(plan.seconds)}"]
    if EVALUATE in plan.parts:
        lines[0] += f", and to {EVALUATE} {format_duration(plan.parts[EVALUATE])} on top"
    if plan.limit is not None and plan.seconds > plan.limit + 1:
        lines.append(
            f"the budget of {format_duration(plan.limit)} is too short for this corpus: encoding it for the index, "
            f"and small samples for the rest, take longer; the least budget here is {format_duration(plan.least)}"
        )
    return lines
