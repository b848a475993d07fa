"""One model that embeds two texts and writes one from the other, and is to agree with itself (ULLME)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from types import MappingProxyType

import torch
from torch import Tensor
from torch.nn import functional

from reknit.data.attention_rules import causal
from reknit.data.batch import Batch, Vocabulary, positions_of, segments_of
from reknit.decoders.cross_encoder import joined
from reknit.decoders.language_model_head import LanguageModelHead
from reknit.encoders.base import Encoder, TokenEncoder, token_encoder
from reknit.errors import ReknitError
from reknit.losses.adversarial_ranking import distilled_ranking
from reknit.objectives.adversarial_ranking import cosines, hardest_lists, score_lists
from reknit.objectives.base import WHOLE_TEXTS, EmbeddingObjective, ObjectiveSpec, StepOutput, of_whole_batch
from reknit.objectives.contrastive import ContrastiveSpec, sides_of
from reknit.objectives.draws import GENERATED_PAIR, draw_seed, text_draws
from reknit.objectives.predictions import tied_vocabulary, token_entropy
from reknit.ranges import NonNegativeFloat, PositiveFraction, PositiveInt


@dataclass(frozen=True)
class GenerationAugmentedSpec(ObjectiveSpec):
    """Settings of ULLME's generation-augmented learning (Man et al. 2024)."""

    generation_weight: NonNegativeFloat = 1.0
    """Weight of the negative log-likelihood of a passage given its query; 0 leaves it out."""
    agreement_weight: NonNegativeFloat = 1.0
    """Weight of the divergence between the two rankings of a query's passages, by vectors and by likelihood; 0 leaves
    it out.
    """
    negatives: PositiveInt = 1
    """Passages of other documents in a query's list, the nearest ones of the batch."""
    share: PositiveFraction = 0.25
    """Fraction of the pairs of a step, sampled again in each step, that generation and agreement are computed on; the
    cost of a step grows with it.
    """
    contrastive: ContrastiveSpec = field(default_factory=ContrastiveSpec)
    """The contrastive loss; its temperature also divides the similarities in the divergence."""

    def __post_init__(self) -> None:
        if min(self.generation_weight, self.agreement_weight) < 0.0:
            raise ReknitError("objective.generation_weight and objective.agreement_weight must be 0 or more")
        if self.negatives < 1 or not 0.0 < self.share <= 1.0:
            raise ReknitError("objective.negatives must be 1 or more, and objective.share above 0 and at most 1")

    def build(self, encoder: Encoder, vocabulary: Vocabulary, pooling: str) -> GenerationAugmented:
        return GenerationAugmented(self, token_encoder(encoder), vocabulary, pooling)


class GenerationAugmented(EmbeddingObjective[TokenEncoder]):
    """Losses "contrastive", "generation" and "agreement".

    Vectors are made with attention in both directions, passages are written under causal attention by the same
    encoder. A passage's score is the mean log-likelihood of its tokens, given the query; the softmax of the cosines
    over a query's list learns from the softmax of these scores, which learn by "generation" alone.
    """

    vector_losses = frozenset({"contrastive", "agreement"})
    visible = MappingProxyType(dict.fromkeys(vector_losses, WHOLE_TEXTS))

    def __init__(
        self, spec: GenerationAugmentedSpec, encoder: TokenEncoder, vocabulary: Vocabulary, pooling: str
    ) -> None:
        super().__init__()
        self.spec = spec
        self.contrastive = spec.contrastive.build(encoder, vocabulary, pooling)
        self.head = LanguageModelHead(encoder.dim, tied_vocabulary(encoder))

    def embed(self, encoder: TokenEncoder, batch: Batch, rng: torch.Generator) -> Tensor:
        return self.contrastive.embed(encoder, batch, rng)

    def floors(self, encoder: Encoder, batch: Batch, rng: torch.Generator) -> dict[str, float | str]:
        found = self.contrastive.floors(encoder, batch, rng)
        if self.spec.generation_weight:
            found["generation"] = self.spec.generation_weight * token_entropy(batch.vocabulary)
        if self.spec.agreement_weight:
            found["agreement"] = "both ways to rank may agree, whatever the texts are"
        return found

    def score(self, embeddings: Tensor, batch: Batch) -> StepOutput:
        """The loss of the vectors alone, "contrastive"."""
        return self.contrastive.score(embeddings, batch)

    def forward(self, encoder: TokenEncoder, batch: Batch, rng: torch.Generator) -> StepOutput:
        spec, whole, seed = self.spec, batch.whole, draw_seed(rng)
        embeddings = of_whole_batch(self.embed(encoder, batch, rng), batch)
        output = self.score(embeddings, whole)
        if not spec.generation_weight and not spec.agreement_weight:
            return output
        similarities = cosines(*sides_of(embeddings, whole)) / spec.contrastive.temperature
        listed, present = hardest_lists(similarities, whole.groups, spec.negatives)
        if not spec.agreement_weight:
            listed, present = listed[:, :1], present[:, :1]
        drawn = drawn_pairs(whole, seed, spec.share)

        def log_likelihood(batch: Batch, queries: Tensor, passages: Tensor) -> Tensor:
            return self.log_likelihood_of_passages(encoder, batch, queries, passages)

        written = score_lists(batch, listed, present & drawn[:, None], log_likelihood)[drawn]
        if spec.generation_weight:
            output.losses["generation"] = -spec.generation_weight * written[:, 0].mean()
        if spec.agreement_weight:
            found, present = similarities.gather(1, listed)[drawn], present[drawn]
            entropy = distilled_ranking(written.detach(), written, present)
            agreement = distilled_ranking(found, written, present) - entropy
            output.losses["agreement"] = spec.agreement_weight * agreement
        return output

    def log_likelihood_of_passages(
        self, encoder: TokenEncoder, batch: Batch, queries: Tensor, passages: Tensor
    ) -> Tensor:
        """[P] the mean of log p(token | query, tokens before it) over the ordinary tokens of each passage.

        queries, passages: [P] numbers of sequences of the batch. 0 for a passage without ordinary tokens.
        """
        count = len(queries)
        if not count:
            # A process whose share has none reads a pair all the same, and it counts for nothing: all must do alike.
            queries, passages = queries.new_tensor([0]), passages.new_tensor([1])
        view = joined(batch, queries, passages, getattr(encoder, "max_positions", None))
        pairs, places = segments_of(view.cu_seqlens), positions_of(view.cu_seqlens)
        special = torch.tensor(batch.vocabulary.special, dtype=torch.long, device=view.tokens.device)
        asked = (places >= batch.cu_seqlens.diff()[queries][pairs]) & ~torch.isin(view.tokens, special)
        rows = asked.nonzero().squeeze(1)
        states = self.head(encoder(replace(view, attention=causal)).last[rows - 1])
        logits = (states @ encoder.table.t()).float() + self.head.bias
        logs = -functional.cross_entropy(logits, view.tokens[rows], reduction="none")
        sums = logs.new_zeros(len(queries)).index_add(0, pairs[rows], logs)
        return (sums / torch.bincount(pairs[rows], minlength=len(queries)).clamp(min=1))[:count]


def drawn_pairs(batch: Batch, seed: int, share: float) -> Tensor:
    """[B] bool, pairs of a whole batch, each taken with probability `share`; all of them where none is taken."""
    drawn = text_draws(batch, seed, GENERATED_PAIR)[batch.cu_seqlens[:-1:2]] < share
    return drawn if bool(drawn.any()) else torch.ones_like(drawn)
