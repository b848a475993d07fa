"""Token targets: a text's vector must tell the text's key words (Text2Token)."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from types import MappingProxyType

import torch
from torch import Tensor

from reknit.corruptions.masking import ordinary_ids, ordinary_tokens
from reknit.data.batch import Batch, View, Vocabulary, segments_of
from reknit.decoders.language_model_head import LanguageModelHead
from reknit.encoders.base import Encoder, TokenEncoder, token_encoder
from reknit.encoders.pooling import pool
from reknit.errors import ReknitError
from reknit.objectives.base import FollowsProgress, ObjectiveSpec, StepOutput
from reknit.objectives.predictions import Distributions, Predictions, ReconstructionObjective, tied_vocabulary
from reknit.ranges import PositiveFraction, PositiveInt


@dataclass(frozen=True)
class TokenTargetSpec(ObjectiveSpec):
    """Settings of Text2Token (An et al. 2025)."""

    frequent_share: PositiveFraction = 0.2
    """Tokens that occur in more than this fraction of the texts seen so far are not predicted."""
    first_stage: PositiveFraction = 0.5
    """Fraction of the budget in which a text's own tokens are its targets; after that, they are given by the model as
    it is at that point. 1 for no second stage.
    """
    derived_tokens: PositiveInt = 32
    """Targets of a text in the second stage: the likeliest tokens by the model of the first stage."""

    def __post_init__(self) -> None:
        if not 0.0 < self.first_stage <= 1.0:
            raise ReknitError(f"first_stage is {self.first_stage}; it must be above 0 and at most 1")
        if self.derived_tokens < 1:
            raise ReknitError(f"derived_tokens is {self.derived_tokens}; it must be at least 1")
        if not 0.0 < self.frequent_share <= 1.0:
            raise ReknitError(f"frequent_share is {self.frequent_share}; it must be above 0 and at most 1")

    def build(self, encoder: Encoder, vocabulary: Vocabulary, pooling: str) -> TokenTargets:
        return TokenTargets(self, token_encoder(encoder), pooling)


class TokenTargets(FollowsProgress[TokenEncoder], ReconstructionObjective):
    """Loss "token_targets": divergence of the vocabulary's distribution, read from the text's vector, from the targets.

    Targets of the first stage are the text's tokens by tf-idf, with document frequencies counted over the texts that
    were trained on. Those of the second are the likeliest tokens, in the text or not, by the model that the first stage
    ended with.
    """

    vector_losses = frozenset({"token_targets"})
    visible = MappingProxyType({"token_targets": "a text's vector is to tell the words that the text shows"})
    texts_seen: Tensor
    texts_with: Tensor

    def __init__(self, spec: TokenTargetSpec, encoder: TokenEncoder, pooling: str) -> None:
        super().__init__()
        self.spec, self.pooling = spec, pooling
        vocabulary = tied_vocabulary(encoder)
        self.head = LanguageModelHead(encoder.dim, vocabulary)
        if spec.first_stage < 1.0:
            self.untrained = {"first_encoder": "stage", "first_head": "stage"}
            self.first_encoder = copy.deepcopy(encoder).requires_grad_(False)
            self.first_head = copy.deepcopy(self.head).requires_grad_(False)
        # Buffers, so that a resumed run has counted what was counted before.
        self.register_buffer("texts_seen", torch.zeros(()))
        self.register_buffer("texts_with", torch.zeros(vocabulary))

    @property
    def stage(self) -> str:
        return "first" if float(self.progress) < self.spec.first_stage or self.spec.first_stage == 1.0 else "second"

    def predictions(self, encoder: TokenEncoder, batch: Batch, rng: torch.Generator) -> dict[str, Predictions]:
        return {}

    def distributions(self, encoder: TokenEncoder, batch: Batch, rng: torch.Generator) -> dict[str, Distributions]:
        states = self.head(pool(encoder(View.clean(batch)), self.pooling))
        targets = self._key_words(batch) if self.stage == "first" else self._derived_words(batch)
        return {"token_targets": Distributions(states, batch.cu_seqlens[:-1], targets)}

    def forward(self, encoder: TokenEncoder, batch: Batch, rng: torch.Generator) -> StepOutput:
        if self.training:
            self._count(batch.whole)
        found = self.distributions(encoder, batch, rng)["token_targets"]
        loss, accuracy = found.loss(encoder.table, self.head.bias)
        return StepOutput({"token_targets": loss}, {"token_targets_accuracy": accuracy})

    @torch.no_grad()
    def after_step(self, encoder: TokenEncoder, progress: float) -> None:
        before = self.stage
        super().after_step(encoder, progress)
        if self.stage != before:
            for kept, learnt in ((self.first_encoder, encoder), (self.first_head, self.head)):
                for old, new in zip(kept.parameters(), learnt.parameters(), strict=True):
                    old.copy_(new)

    @torch.no_grad()
    def _count(self, batch: Batch) -> None:
        self.texts_seen += batch.num_sequences
        self.texts_with += (self._counts(batch) > 0).sum(dim=0)

    def _counts(self, batch: Batch) -> Tensor:
        """[N, V] how often each ordinary token is in each text."""
        ordinary = ordinary_tokens(batch)
        counts = torch.zeros(batch.num_sequences, self.texts_with.numel(), device=batch.tokens.device)
        places = segments_of(batch.cu_seqlens)[ordinary], batch.tokens[ordinary]
        return counts.index_put_(places, torch.ones(places[0].numel(), device=counts.device), accumulate=True)

    def _rare(self) -> Tensor:
        """[V] bool, the tokens that are not too frequent to be targets."""
        return self.texts_with <= self.spec.frequent_share * self.texts_seen

    def _key_words(self, batch: Batch) -> Tensor:
        """[N, V] tf-idf of each text's tokens, rows that sum to 1; all of them where all are too frequent."""
        counts = self._counts(batch)
        rarity = 1.0 + torch.log((1.0 + self.texts_seen) / (1.0 + self.texts_with))
        weights = counts * rarity
        rare = weights * self._rare()
        weights = torch.where(rare.sum(dim=1, keepdim=True) > 0, rare, weights)
        return weights / weights.sum(dim=1, keepdim=True).clamp_min(1e-9)

    @torch.no_grad()
    def _derived_words(self, batch: Batch) -> Tensor:
        """[N, V] the first stage's likeliest tokens that are not too frequent; nothing for a text without tokens."""
        self.first_encoder.eval()
        states = self.first_head(pool(self.first_encoder(View.clean(batch)), self.pooling))
        logits = (states @ self.first_encoder.table.t()).float() + self.first_head.bias
        allowed = torch.zeros_like(self.texts_with, dtype=torch.bool)
        allowed[ordinary_ids(batch.vocabulary).to(allowed.device)] = True
        rare = allowed & self._rare()
        logits = logits.masked_fill(~(rare if rare.any() else allowed), -torch.inf)
        likeliest = logits.topk(min(self.spec.derived_tokens, logits.shape[1]), dim=1)
        targets = torch.zeros_like(logits).scatter_(1, likeliest.indices, likeliest.values.softmax(dim=1))
        filled = torch.zeros(batch.num_sequences, dtype=torch.bool, device=logits.device)
        filled[segments_of(batch.cu_seqlens)[ordinary_tokens(batch)]] = True
        return targets * filled[:, None]
