"""Causal language models, of which one weights its texts: one text at a time."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor

from reknit.data.batch import Batch
from reknit.objectives.causal_language_model import CausalLanguageModel, ReweightedLanguageModel
from reknit.objectives.predictions import Predictions
from twins.base import ReconstructionTwin
from twins.losses.cross_entropy import naive_cross_entropy, naive_reweighted


class CausalTwin(ReconstructionTwin):
    def predicted(self, objective: CausalLanguageModel, table: Tensor, batch: Batch, made: Predictions) -> Tensor:
        if not isinstance(objective, ReweightedLanguageModel):
            return super().predicted(objective, table, batch, made)
        ends = pairwise(batch.cu_seqlens.tolist())
        texts = [(made.positions >= start) & (made.positions < end) for start, end in ends]
        means = [naive_cross_entropy(made.states[n], table, objective.head.bias, made.targets[n]) for n in texts]
        temperature = 100.0 if float(objective.progress) < objective.spec.warm_up else objective.spec.temperature
        return naive_reweighted(means, objective.spec.strategy, temperature)


TWIN = CausalTwin()
