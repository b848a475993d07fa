"""A retriever and a ranker that learn from each other by a game (AR2, Zhang et al. 2022)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from types import MappingProxyType

import torch
from torch import Tensor
from torch.nn import functional

from reknit.collectives import gathered_rows
from reknit.data.batch import Batch, Vocabulary
from reknit.decoders.cross_encoder import CrossEncoder
from reknit.encoders.base import Encoder
from reknit.errors import ReknitError
from reknit.losses.adversarial_ranking import adversarial_ranking, distilled_ranking, list_cross_entropy
from reknit.objectives.base import (
    WHOLE_TEXTS,
    EmbeddingObjective,
    FollowsProgress,
    ObjectiveSpec,
    StepOutput,
    of_whole_batch,
)
from reknit.objectives.contrastive import ContrastiveSpec, sides_of
from reknit.ranges import Fraction, NonNegativeFloat, PositiveInt


@dataclass(frozen=True)
class AdversarialRankingSpec(ObjectiveSpec):
    """Settings of AR2 (Zhang et al. 2022), with negatives from the batch."""

    warm_up: Fraction = 0.3
    """Fraction of the budget in which retriever and ranker learn without each other."""
    negatives: PositiveInt = 3
    """Negatives in a query's list beside its own passage: the hardest passages of other documents in the batch."""
    adversarial_weight: Fraction = 0.5
    """Weight of the adversarial loss (lambda); distillation has the rest of 1."""
    contrastive_weight: NonNegativeFloat = 1.0
    """Weight of the contrastive loss after the warm-up; 0 leaves it out."""
    contrastive: ContrastiveSpec = field(default_factory=ContrastiveSpec)
    """The contrastive loss; its temperature also divides the retriever's similarities in the other losses."""

    def __post_init__(self) -> None:
        for name in ("warm_up", "adversarial_weight"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ReknitError(f"{name} is {getattr(self, name)}; it must be between 0 and 1")
        if self.contrastive_weight < 0.0:
            raise ReknitError(f"contrastive_weight is {self.contrastive_weight}; it must be 0 or more")
        if self.negatives < 1:
            raise ReknitError(f"negatives is {self.negatives}; it must be 1 or more")

    def build(self, encoder: Encoder, vocabulary: Vocabulary, pooling: str) -> AdversarialRanking:
        return AdversarialRanking(self, encoder, vocabulary, pooling)


class AdversarialRanking(FollowsProgress[Encoder], EmbeddingObjective[Encoder]):
    """Losses "contrastive" and "ranker" during the warm-up, then also "adversarial" and "distilled".

    A query's list is its own passage and the passages of the batch that the retriever, as it is in this step, finds
    nearest among those of other groups. The ranker reads query and passage together. It learns to find the list's own
    passage; the retriever learns from the ranker's scores, through which no gradient goes. A loss of weight 0 is left
    out.
    """

    auxiliary = frozenset({"ranker"})
    vector_losses = frozenset({"contrastive", "adversarial", "distilled"})
    visible = MappingProxyType(dict.fromkeys((*vector_losses, "ranker"), WHOLE_TEXTS))

    def __init__(self, spec: AdversarialRankingSpec, encoder: Encoder, vocabulary: Vocabulary, pooling: str) -> None:
        super().__init__()
        self.spec = spec
        self.contrastive = spec.contrastive.build(encoder, vocabulary, pooling)
        self.ranker = CrossEncoder(encoder, pooling)

    @property
    def stage(self) -> str:
        return "warm-up" if float(self.progress) < self.spec.warm_up else "game"

    def embed(self, encoder: Encoder, batch: Batch, rng: torch.Generator) -> Tensor:
        return self.contrastive.embed(encoder, batch, rng)

    def forward(self, encoder: Encoder, batch: Batch, rng: torch.Generator) -> StepOutput:
        # The share goes on to `score`, so that processes divide the ranker's work as they do the encoder's.
        return self.score(of_whole_batch(self.embed(encoder, batch, rng), batch), batch)

    def floors(self, encoder: Encoder, batch: Batch, rng: torch.Generator) -> dict[str, float | str]:
        spec = self.spec
        by_retriever = "what the retriever finds nearest can be told from the others, whatever the texts are"
        found: dict[str, float | str] = {"ranker": by_retriever}
        if self.stage == "warm-up":
            return found | self.contrastive.floors(encoder, batch, rng)
        if spec.contrastive_weight:
            (floor,) = self.contrastive.floors(encoder, batch, rng).values()
            found["contrastive"] = spec.contrastive_weight * float(floor)
        if spec.adversarial_weight:
            found["adversarial"] = by_retriever
        if spec.adversarial_weight < 1.0:
            found["distilled"] = by_retriever
        return found

    def score(self, embeddings: Tensor, batch: Batch) -> StepOutput:
        """Losses of the whole batch's vectors, [N, dim]. `batch` is the whole one or a share of it, whose pairs alone
        the ranker reads here; the scores of the others come from the other processes."""
        spec, whole = self.spec, batch.whole
        contrastive = self.contrastive.score(embeddings, whole)
        similarities = cosines(*sides_of(embeddings, whole)) / spec.contrastive.temperature
        listed, present = hardest_lists(similarities, whole.groups, spec.negatives)
        ranked = score_lists(batch, listed, present, self.ranker)
        loss, accuracy = list_cross_entropy(ranked, present)
        losses = {"ranker": loss}
        metrics = {**contrastive.metrics, "ranker_accuracy": float(accuracy)}
        if self.stage == "warm-up":
            return StepOutput({**contrastive.losses, **losses}, metrics)
        found = similarities.gather(1, listed)
        if spec.contrastive_weight:
            losses["contrastive"] = spec.contrastive_weight * contrastive.losses["contrastive"]
        if spec.adversarial_weight:
            losses["adversarial"] = spec.adversarial_weight * adversarial_ranking(found, ranked, present)
        if spec.adversarial_weight < 1.0:
            losses["distilled"] = (1.0 - spec.adversarial_weight) * distilled_ranking(found, ranked, present)
        return StepOutput(losses, metrics)


def hardest_lists(similarities: Tensor, groups: Tensor | None, negatives: int) -> tuple[Tensor, Tensor]:
    """Of each query its own passage, and the passages of other groups that are nearest to it, the nearest first.

    similarities: [B, B], queries by passages. groups: [B] int64, or None where every example is its own.
    Returns [B, 1 + min(negatives, B)] int64 numbers of passages and bool, False where there are not so many others.
    """
    examples = torch.arange(len(similarities), device=similarities.device)
    groups = examples if groups is None else groups
    nearest, found = largest_allowed(similarities.detach(), groups[:, None] != groups[None, :], negatives)
    listed = torch.cat((examples[:, None], nearest), dim=1)
    present = torch.cat((torch.ones_like(examples[:, None], dtype=torch.bool), found), dim=1)
    return listed, present


def largest_allowed(scores: Tensor, allowed: Tensor, most: int) -> tuple[Tensor, Tensor]:
    """[B, min(most, N)] int64 columns of the largest scores of each row, and bool, False where a row has no more.

    scores: [B, N], finite. allowed: [B, N] bool, the columns that may be taken.
    """
    found = scores.masked_fill(~allowed, -torch.inf).topk(min(most, scores.shape[1]), dim=1)
    return found.indices, found.values.isfinite()


def score_lists(
    batch: Batch, listed: Tensor, present: Tensor, score: Callable[[Batch, Tensor, Tensor], Tensor]
) -> Tensor:
    """[B, L] scores of the lists of `batch.whole`, 0 where nothing is present; each process scores its share's.

    listed: [B, L] int64 numbers of passages, as `hardest_lists` gives them. present: [B, L] bool, what is scored.
    score: from the whole batch, [P] numbers of its sequences that are queries and [P] of passages, to [P] scores.
    """
    share, examples = batch.shard, len(listed)
    first, last = (0, examples) if share is None else (share.first // 2, share.last // 2)
    own = present[first:last]
    rows, places = own.nonzero(as_tuple=True)
    passages = listed[first:last][rows, places]
    scores = score(batch.whole, 2 * (rows + first), 2 * passages + 1).float()
    scored = scores.new_zeros(own.shape).masked_scatter(own, scores)
    return scored if share is None else gathered_rows(scored, first, examples)


def cosines(queries: Tensor, passages: Tensor) -> Tensor:
    """[B, B] cosines in float32."""
    return functional.normalize(queries.float(), dim=-1) @ functional.normalize(passages.float(), dim=-1).t()
