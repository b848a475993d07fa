"""Replaced-token detection whose random tokens come from clusters that the detector mistakes (C-RTS)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor

from reknit.collectives import gathered_rows, whole
from reknit.corruptions.cluster_swapping import cluster_shares, swap_by_clusters
from reknit.corruptions.masking import mask_tokens, ordinary_tokens
from reknit.data.batch import Batch, View, Vocabulary
from reknit.decoders.detection_head import DetectionHead
from reknit.encoders.base import Encoder, TokenEncoder, token_encoder
from reknit.errors import ReknitError
from reknit.objectives.base import FollowsProgress, ObjectiveSpec, StepOutput
from reknit.objectives.predictions import Decisions, Predictions, ReconstructionObjective
from reknit.objectives.replaced_token_detection import decide
from reknit.objectives.token_clusters import TokenClusters
from reknit.ranges import Fraction, NonNegativeFloat, PositiveFraction, Range


@dataclass(frozen=True)
class ClusteredTokenDetectionSpec(ObjectiveSpec):
    """Settings of C-RTS (Di Liello et al. 2022)."""

    ratio: PositiveFraction = 0.15
    """Fraction of each text's ordinary tokens that are replaced, at least one token."""
    weight: NonNegativeFloat = 1.0
    """Factor of the detection loss."""
    clusters: Annotated[int, Range(low=2)] = 100
    """Clusters of the vocabulary by k-means of the token embeddings, at most."""
    beta: NonNegativeFloat = 2.0
    """How strongly replacements are drawn from clusters that the detector overlooks: the most overlooked cluster is
    exp(beta) times as likely as the least overlooked one.
    """
    warm_up: Fraction = 0.2
    """Fraction of the budget in which replacements are random tokens, as in RTS, so that the embeddings carry some
    meaning before they are clustered. With 0 the initial embeddings are clustered, which suits a trained start model.
    """

    def __post_init__(self) -> None:
        if self.clusters < 2:
            raise ReknitError(f"clusters is {self.clusters}; it must be 2 or more")
        if self.beta < 0.0:
            raise ReknitError(f"beta is {self.beta}; it must be 0 or more")
        if not 0.0 <= self.warm_up <= 1.0:
            raise ReknitError(f"warm_up is {self.warm_up}; it must be between 0 and 1")

    def build(self, encoder: Encoder, vocabulary: Vocabulary, pooling: str) -> ClusteredTokenDetection:
        return ClusteredTokenDetection(self, token_encoder(encoder), vocabulary)


class ClusteredTokenDetection(FollowsProgress[TokenEncoder], ReconstructionObjective):
    """Loss "detection": was this token replaced by another? Asked of every ordinary token.

    Once there are clusters, what was overlooked in earlier steps is likelier to be tried again.
    """

    def __init__(self, spec: ClusteredTokenDetectionSpec, encoder: TokenEncoder, vocabulary: Vocabulary) -> None:
        super().__init__()
        self.spec = spec
        self.detection = DetectionHead(encoder.dim)
        self.clusters = TokenClusters(spec.clusters, vocabulary)
        if spec.warm_up == 0.0:
            self.clusters.learn(encoder.table)

    def corrupted(self, batch: Batch, rng: torch.Generator) -> View:
        """The text with replacements; during the warm-up the very ones of RTS."""
        ratio, clusters = self.spec.ratio, self.clusters
        if not clusters.learnt:
            return mask_tokens(batch, rng, ratio=ratio, random_share=1.0, keep_share=0.0)
        return swap_by_clusters(
            batch, rng, clusters.numbers, cluster_shares(clusters.counts, self.spec.beta), ratio=ratio
        )

    def predictions(self, encoder: TokenEncoder, batch: Batch, rng: torch.Generator) -> dict[str, Predictions]:
        return {}

    def decisions(self, encoder: TokenEncoder, batch: Batch, rng: torch.Generator) -> dict[str, Decisions]:
        return {"detection": self._decided(encoder, batch, self.corrupted(batch, rng))}

    def floors(self, encoder: TokenEncoder, batch: Batch, rng: torch.Generator) -> dict[str, float | str]:
        if self.clusters.learnt:
            return {"detection": "tokens of small clusters are replacements more often than others"}
        return super().floors(encoder, batch, rng)

    def forward(self, encoder: TokenEncoder, batch: Batch, rng: torch.Generator) -> StepOutput:
        view = self.corrupted(batch, rng)
        decided = self._decided(encoder, batch, view)
        if self.training and self.clusters.learnt:
            self._count(batch, view, decided)
        loss, accuracy = decided.loss()
        return StepOutput({"detection": loss}, {"detection_accuracy": accuracy})

    def after_step(self, encoder: TokenEncoder, progress: float) -> None:
        super().after_step(encoder, progress)
        if progress >= self.spec.warm_up and not self.clusters.learnt:
            self.clusters.learn(whole(encoder.table))

    def _decided(self, encoder: TokenEncoder, batch: Batch, view: View) -> Decisions:
        return decide(self.detection, encoder, view, ordinary_tokens(batch), self.spec.weight)

    @torch.no_grad()
    def _count(self, batch: Batch, view: View, decided: Decisions) -> None:
        """Count the replacements of the whole batch, each process those of all."""
        verdicts = torch.zeros_like(view.tokens)  # 1 where a replacement was overlooked, -1 where it was found
        verdicts[decided.positions] = torch.where(decided.states > 0, -1, 1)
        verdicts[view.tokens == view.targets] = 0
        rows: Tensor = torch.stack((verdicts, view.tokens), dim=1)
        if batch.shard is not None:
            rows = gathered_rows(rows, batch.first_token, batch.whole.num_tokens)
        counted = rows[:, 0] != 0
        verdicts, replacements = rows[counted].unbind(dim=1)
        self.clusters.count(batch.whole.tokens[counted], replacements, overlooked=verdicts > 0)
