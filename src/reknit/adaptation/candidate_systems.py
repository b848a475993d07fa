"""The search systems that a run compares, and their weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from reknit.adaptation.candidate import ADAPTED, START, Candidate
from reknit.adaptation.system_choice import choose_row
from reknit.data.retrieval_set import RetrievalSet
from reknit.evaluation.retrieval import sides_of
from reknit.evaluation.system_values import HYBRID_WEIGHTS, ndcg_values, values_by_weight
from reknit.models.encode_texts import EncodeTexts
from reknit.retrieval.feedback import Feedback
from reknit.retrieval.fusion import EQUAL_PARTS
from reknit.retrieval.sides import Side
from reknit.retrieval.system import WORDS, SearchSystem

FEEDBACK = "feedback"


@dataclass(frozen=True)
class CandidateSystems:
    """systems: by name, in the order in which they are preferred; the weights of words and vectors are not chosen yet.
    encoders: of every side but words."""

    systems: dict[str, SearchSystem]
    encoders: dict[str, EncodeTexts]

    @property
    def hybrids(self) -> dict[str, SearchSystem]:
        return {name: system for name, system in self.systems.items() if system.is_hybrid}

    def values(
        self, collection: RetrievalSet, sides: Mapping[str, Side] | None = None, *, split_identifiers: bool = False
    ) -> dict[str, np.ndarray]:
        """{system: [weights, queries] nDCG@10}, of a hybrid at each of HYBRID_WEIGHTS, of any other a single row.

        sides: of the collection, where they are there already.
        """
        sides = sides or sides_of(collection, self.encoders, split_identifiers=split_identifiers)
        alone = {name: system for name, system in self.systems.items() if not system.is_hybrid}
        found = values_by_weight(collection, sides, self.hybrids)
        found |= {name: values[None] for name, values in ndcg_values(collection, sides, alone).items()}
        return {name: found[name] for name in self.systems}

    def weighted(self, values: dict[str, np.ndarray], prior: float = EQUAL_PARTS) -> dict[str, SearchSystem]:
        """The systems with the weights that the values choose."""
        return {
            name: system.at(HYBRID_WEIGHTS[choose_row(values[name], prior)]) if system.is_hybrid else system
            for name, system in self.systems.items()
        }


def candidate_systems(candidates: Sequence[Candidate]) -> CandidateSystems:
    """All systems of these models, the richest first: words with the vectors of two models, words with one, each
    model's vectors alone, words alone.

    candidates: the adapted model, the start model, then others. Of two versions of a model that go by different names,
    the one with query expansion comes first.
    """
    own = [candidate for candidate in candidates if candidate.name in (ADAPTED, START)]
    others = [candidate for candidate in candidates if candidate.name not in (ADAPTED, START)]
    single = [side for candidate in candidates for side in candidate.sides]
    # Where both are expanded, words count three times, and that was worse (docs/adaptation.md).
    pairs = [(side, other.plain) for candidate in own for side in candidate.sides for other in others]
    systems = {system_name((WORDS, *models)): SearchSystem.of(models, EQUAL_PARTS) for models in pairs}
    systems |= {system_name((WORDS, side)): SearchSystem.of([side], EQUAL_PARTS) for side in single}
    systems |= {side: SearchSystem.of([side]) for side in single}
    systems[WORDS] = SearchSystem({WORDS: 1.0})
    encoders = {side: encode for candidate in candidates for side, encode in candidate.sides.items()}
    return CandidateSystems(systems, encoders)


def with_feedback(systems: Mapping[str, SearchSystem]) -> dict[str, SearchSystem]:
    """Each hybrid with a second search by the best hits of the first, at the weights that it has."""
    return {
        feedback_name(name): replace(system, feedback=Feedback())
        for name, system in systems.items()
        if system.is_hybrid
    }


def feedback_name(name: str) -> str:
    """What a system is called with feedback."""
    return system_name((name, FEEDBACK))


def system_name(sides: Sequence[str]) -> str:
    """What a system is called in results and options."""
    return "+".join(sides)
