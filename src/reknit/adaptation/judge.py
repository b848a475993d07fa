"""Measures every search system that a run could end with, and gives the verdicts."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from reknit.adaptation.candidate import ADAPTED, Candidate
from reknit.adaptation.candidate_systems import CandidateSystems, candidate_systems, system_name, with_feedback
from reknit.adaptation.costs import SideCost, milliseconds_of, side_costs
from reknit.adaptation.probe_roles import ProbeRoles
from reknit.adaptation.system_choice import choose, cross_fitted_gain, joined
from reknit.adaptation.system_verdict import METRIC, system_verdict, with_a_second_search
from reknit.adaptation.verdict import decide
from reknit.data.retrieval_set import RetrievalSet
from reknit.data.text.holdout import PROBE
from reknit.evaluation.retrieval import evaluate_retrieval, sides_of
from reknit.evaluation.scores import Evaluation
from reknit.evaluation.significance import stratified_test
from reknit.models.encode_texts import EncodeTexts, encoder_function
from reknit.report.facts import system_label
from reknit.retrieval.feedback import Feedback
from reknit.retrieval.fusion import EQUAL_PARTS
from reknit.retrieval.system import WORDS, SearchSystem
from reknit.runs.config import RunConfig
from reknit.runs.result import SystemVerdict, Verdict

logger = logging.getLogger("reknit")


@dataclass(frozen=True)
class Judgement:
    """What was measured, and what follows from it.

    evaluations: of the probe, then of each labelled collection. systems: the verdict over search systems, by the
    labelled collections where there are any. probe_systems: that by the probe alone. verdict: of the adapted model
    beside the start model, by the labelled collections where there are any. probe_verdict: by the probe alone. plain:
    of the adapted model without its query expansion; None where it has none. costs: of each side.
    """

    evaluations: tuple[Evaluation, ...]
    systems: SystemVerdict
    probe_systems: SystemVerdict
    verdict: Verdict
    probe_verdict: Verdict
    plain: Verdict | None
    costs: dict[str, SideCost]


class Judge:
    """The systems of some models with the weights that the probe chooses, and what is said of them."""

    def __init__(self, candidates: Sequence[Candidate], have: str, roles: ProbeRoles, config: RunConfig) -> None:
        """candidates: the adapted model, the start model, then others. have: the name of the vectors of the start model
        that the user has."""
        self._candidates, self._have, self._roles, self._config = candidates, have, roles, config
        # A model made of nothing but this corpus has to show that it is any better than words are.
        self._prior = 0.0 if config.from_scratch else EQUAL_PARTS
        self._compared: CandidateSystems = candidate_systems(candidates)
        self._sides = sides_of(roles.choosing, self._compared.encoders, split_identifiers=False)
        self._values = self._compared.values(roles.choosing, self._sides)
        self.systems = self._compared.weighted(self._values, self._prior)
        """By name, the richest first, those with feedback last."""
        # Where many documents answer a query feedback helps, where one does it harms, and the probe has one answer a
        # query (docs/adaptation.md): labels or the user must say. Who keeps what was trained asks for no verdict.
        asked = config.answers or ("many" if config.keep == "best" else "one")
        self._second = with_feedback(self.systems) if asked == "many" else {}
        self._hybrids = {name: system for name, system in self.systems.items() if system.is_hybrid}
        weights = (f"{system_label(name)} {system.vector_weight:.1f}" for name, system in self._hybrids.items())
        logger.info("weights of the vectors beside words: %s", "; ".join(weights))

    @property
    def encoders(self) -> dict[str, EncodeTexts]:
        """Of every side but words."""
        return self._compared.encoders

    @property
    def adapted(self) -> str:
        """The name of the system of words and the adapted model."""
        return system_name((WORDS, ADAPTED))

    @property
    def adapted_system(self) -> SearchSystem:
        """Words and the adapted model, with feedback where the user says that queries have many answers."""
        system = self.systems[self.adapted]
        return replace(system, feedback=Feedback()) if self._config.answers == "many" else system

    @property
    def have(self) -> str:
        """The name of the system that the user runs today."""
        named = {"bm25": WORDS, "start": self._have, "hybrid": system_name((WORDS, self._have))}
        return named[self._config.searched_with]

    def judge(self, labelled: Sequence[RetrievalSet], passages: int, clicks: RetrievalSet | None = None) -> Judgement:
        """Evaluate every system on the probe, the labelled collections and clicks. passages: to search, once there is
        an index.

        Labelled collections give both verdicts where there are any, else clicks, else the probe; the weights are the
        probe's.
        """
        config, judging = self._config, self._roles.judging
        evaluations = []
        for collection in (judging, *labelled, *([] if clicks is None else [clicks])):
            logger.info("evaluating on %s (%d documents)", collection.name, len(collection.documents))
            # Where all queries of the probe judge, they are those that chose.
            known = collection is judging and self._roles.judged_by_all
            evaluations.append(
                evaluate_retrieval(
                    collection,
                    self._compared.encoders,
                    systems=self._hybrids if collection is judging else self._hybrids | self._second,
                    # The probe's queries are cut out of documents, which share their identifiers.
                    split_identifiers=collection is not judging,
                    sides=self._sides if known else None,
                    by_weight={name: self._values[name] for name in self._hybrids} if known else None,
                    seed=config.seed,
                )
            )
        costs = side_costs(self._uncached(), judging, passages)
        probe_systems = self._system_verdict(evaluations[:1], costs)
        systems = probe_systems
        deciding = evaluations[1 : 1 + len(labelled)] or evaluations[1:] or evaluations
        # Those with feedback have no values on the probe.
        self.systems |= self._second if deciding is not evaluations or config.answers == "many" else {}
        if deciding is not evaluations:
            systems = self._system_verdict(deciding, costs)
        elif config.answers == "many":
            systems = with_a_second_search(systems, possible=self.systems[systems.use].is_hybrid)
        verdict = decide(deciding, seed=config.seed)
        logger.info("verdict: %s", systems.sentence)
        logger.info("model alone: %s", verdict.sentence)
        plain = decide(deciding, system="plain", seed=config.seed) if "plain" in self.systems else None
        probe_verdict = decide(evaluations[:1], seed=config.seed)
        return Judgement(tuple(evaluations), systems, probe_systems, verdict, probe_verdict, plain, costs)

    def _system_verdict(self, deciding: Sequence[Evaluation], costs: Mapping[str, SideCost]) -> SystemVerdict:
        measured = {one.dataset: {name: _values(one, name) for name in self.systems} for one in deciding}
        milliseconds = milliseconds_of(self.systems, costs)
        seed = self._config.seed
        if deciding[0].dataset != PROBE:
            # Labels choose and judge, each half of the queries for the other; the weights are the probe's.
            values = [{name: of[name][None] for name in of} for of in measured.values()]
            best = choose(joined(values)).system
            gain = cross_fitted_gain(values, self.have, seed)
        elif self._roles.judged_by_all:
            best = choose(self._values, self._prior).system
            gain = cross_fitted_gain([self._values], self.have, seed, self._prior)
        else:
            # The half of the probe that chose is not the one that judges.
            best = choose(self._values, self._prior).system
            gain = stratified_test([of[best] - of[self.have] for of in measured.values()], seed)
        return system_verdict(best, self.have, gain, measured, milliseconds, seed)

    def _uncached(self) -> dict[str, EncodeTexts]:
        return {
            side: encoder_function(candidate.finished(side), self._config.precision, quiet=True)
            for candidate in self._candidates
            for side in candidate.sides
        }


def _values(evaluation: Evaluation, system: str) -> np.ndarray:
    of_queries = evaluation.per_query[system][METRIC]
    return np.array([of_queries[query] for query in sorted(of_queries)])
