"""Which of the held-out queries watch the training, which choose, and which judge: decided here and nowhere else."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

from reknit.data.retrieval_set import RetrievalSet
from reknit.data.text.holdout import HeldOut
from reknit.evaluation.probe import drop_shared_words, shape_like, subsample
from reknit.runs.config import RunConfig
from reknit.runs.phases import chooses_weights


@dataclass(frozen=True)
class ProbeRoles:
    """The probe's queries by what they are for, each made when it is first asked for; shared words are dropped.

    The dev half watches the training. Where a phase keeps its best weights by it (`chooses_weights`), it chooses the
    rest too (query expansion, hybrid weights), and the other half judges. Where no checkpoint is chosen, all queries
    choose the rest, and all judge.
    """

    config: RunConfig
    held_out: HeldOut
    real: tuple[str, ...] = ()
    """Queries of users, whose lengths the probe's follow; none where there is no log."""

    @property
    def judged_by_all(self) -> bool:
        """Whether no checkpoint is chosen by the probe."""
        return not chooses_weights(self.config)

    @cached_property
    def watching(self) -> RetrievalSet:
        """In a collection small enough to be searched while training."""
        probe = self.config.probe
        return subsample(self._dev, documents=probe.training_documents, queries=probe.training_queries)

    @cached_property
    def choosing(self) -> RetrievalSet:
        return self._asked(self.held_out.whole) if self.judged_by_all else self._dev

    @cached_property
    def judging(self) -> RetrievalSet:
        if not self.judged_by_all:
            return self._asked(self.held_out.test)
        return replace(self.choosing, notes=(*self.choosing.notes, _chosen_here(self.config)))

    @cached_property
    def _dev(self) -> RetrievalSet:
        return self._asked(self.held_out.dev)

    def _asked(self, held_out: RetrievalSet) -> RetrievalSet:
        """Of the size that the configuration asks for, which may be less than what was held out, and hard to find by
        words."""
        whole, probe = self.held_out.whole, self.config.probe
        share = min(1.0, probe.queries / len(whole.queries))
        queries = max(1, round(share * len(held_out.queries)))
        asked = drop_shared_words(subsample(held_out, documents=probe.documents, queries=queries))
        return shape_like(asked, self.real) if self.real else asked


def _chosen_here(config: RunConfig) -> str:
    """What is chosen by the queries that judge, where no checkpoint is and so all of them do both."""
    chosen = ["the share of the training that is kept"] if config.keep == "best" else []
    chosen += ["the weight of the query expansion"] if config.expansion.wanted else []
    return f"{', '.join([*chosen, 'the weights of the hybrids'])}: chosen on these queries too"
