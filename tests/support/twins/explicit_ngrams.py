"""ERNIE-Gram, whose bigrams must be counted before they are masked."""

from __future__ import annotations

from contextlib import AbstractContextManager
from unittest import mock

from toy_models import toy_batch

from reknit.data.batch import Batch
from reknit.objectives.explicit_ngrams import ExplicitNgrams
from twins.base import ReconstructionTwin


class NgramTwin(ReconstructionTwin):
    def prepare(self, objective: ExplicitNgrams) -> None:
        """Let it count about a third of all pairs of ordinary tokens, so that it knows many."""
        objective.lexicon.count(toy_batch(77, (100,) * 16))

    def same_units(self, objective: ExplicitNgrams, batch: Batch) -> AbstractContextManager[object]:
        return mock.patch.object(objective, "bigrams", return_value=objective.bigrams(batch))


TWIN = NgramTwin()
