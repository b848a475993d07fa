"""Replaced tokens, random ones or a generator's."""

from __future__ import annotations

from torch import Tensor

from reknit.encoders.base import Encoder
from reknit.objectives.replaced_token_detection import RandomTokenDetection, ReplacedTokenDetection
from twins.base import ReconstructionTwin


class DetectionTwin(ReconstructionTwin):
    def table(self, objective: RandomTokenDetection | ReplacedTokenDetection, encoder: Encoder) -> Tensor:
        if isinstance(objective, ReplacedTokenDetection) and objective.spec.embeddings == "disentangled":
            return objective.table
        return encoder.table

    def decides_all(self, objective: RandomTokenDetection | ReplacedTokenDetection) -> bool:
        return isinstance(objective, RandomTokenDetection) or objective.spec.decided == "all"


TWIN = DetectionTwin()
