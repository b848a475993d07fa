"""Training to answer what a world of keys asks."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from reknit.data.attention_rules import AttentionRule
from reknit.data.batch import Batch, View
from reknit.encoders.base import Encoder
from reknit.objectives.base import Objective, StepOutput
from reknit.research.worlds.recall import RecallWorld


class RecallObjective(Objective[Encoder]):
    """Loss "recall": cross-entropy of each answer, read from the state of its question.

    rule: what a token sees.
    """

    def __init__(self, dim: int, world: RecallWorld, rule: AttentionRule) -> None:
        super().__init__()
        self.world, self.rule = world, rule
        self.head = nn.Linear(dim, world.values)

    def forward(self, encoder: Encoder, batch: Batch, rng: torch.Generator) -> StepOutput:
        losses, right, _ = self.answered(encoder, batch)
        return StepOutput({"recall": losses.mean()}, {"recall_accuracy": float(right.float().mean())})

    def answered(self, encoder: Encoder, batch: Batch) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Of each question that has an answer: [Q] its loss in nats, [Q] bool whether the likeliest value is right, and
        [Q] int64 how many times its key was bound."""
        answers, times = self.world.answers(batch)
        rows = (answers >= 0).nonzero().squeeze(1)
        logits = self.head(encoder(View.clean(batch, self.rule)).last[rows]).float()
        losses = functional.cross_entropy(logits, answers[rows], reduction="none")
        return losses, logits.argmax(dim=1) == answers[rows], times[rows]
