"""ULLME: vectors, and passages written from their queries, one passage and one token at a time."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor
from toy_models import amplify

from reknit.data.attention_rules import causal
from reknit.data.batch import Batch, View
from reknit.encoders.base import Encoder
from reknit.objectives.draws import draw_seed
from reknit.objectives.generation_augmented import GenerationAugmented, drawn_pairs
from reknit.objectives.predictions import Predictions
from twins.base import Losses, VectorTwin, groups_of, ordinary_places, same_draws
from twins.contrastive import TWIN as CONTRASTIVE
from twins.losses.adversarial_ranking import naive_distilled_ranking


class WritingTwin(VectorTwin):
    def compare(self, objective: GenerationAugmented, encoder: Encoder, batch: Batch) -> tuple[Losses, Losses]:
        amplify(encoder, objective)  # what a fresh head says hardly depends on what it reads
        vectors = objective.embed(encoder, batch, same_draws())
        losses = objective(encoder, batch, same_draws()).losses
        return losses, self.score(objective, vectors, batch) | self._written(objective, encoder, vectors, batch)

    def score(self, objective: GenerationAugmented, vectors: Tensor, batch: Batch) -> Losses:
        return CONTRASTIVE.score(objective.contrastive, vectors, batch)

    def predictions(
        self, objective: GenerationAugmented, encoder: Encoder, batch: Batch, rng: torch.Generator
    ) -> dict[str, Predictions]:
        """Of each pair's passage every ordinary token, from its query and the tokens before it."""
        states: list[Tensor] = []
        hook = objective.head.register_forward_hook(lambda module, given, made: states.append(made))
        queries = torch.arange(0, batch.num_sequences, 2)
        objective.log_likelihood_of_passages(encoder, batch, queries, queries + 1)
        hook.remove()
        passages = list(pairwise(batch.cu_seqlens.tolist()))[1::2]
        ordinary = ordinary_places(batch)
        positions = torch.tensor([place for first, last in passages for place in ordinary if first <= place < last])
        unseen = torch.ones_like(positions, dtype=torch.bool)
        return {"generation": Predictions(states[0], positions, batch.tokens[positions], unseen)}

    def _written(self, objective: GenerationAugmented, encoder: Encoder, vectors: Tensor, batch: Batch) -> Losses:
        spec, groups = objective.spec, groups_of(batch)
        drawn = drawn_pairs(batch, draw_seed(same_draws()), spec.share).nonzero().squeeze(1).tolist()
        assert 0 < len(drawn) < len(groups)
        units = [vector / vector.norm() for vector in vectors]
        found, written = [], []
        for i in drawn:
            scores = [units[2 * i] @ units[2 * j + 1] / spec.contrastive.temperature for j in range(len(groups))]
            others = sorted((j for j in range(len(groups)) if groups[j] != groups[i]), key=lambda j: -float(scores[j]))
            listed = [i, *others[: spec.negatives]]
            found.append(torch.stack([scores[j] for j in listed]))
            written.append(torch.stack([naive_writing(objective, encoder, batch, 2 * i, 2 * j + 1) for j in listed]))
        divergence = naive_distilled_ranking(found, written) - naive_distilled_ranking(written, written)
        generation = -torch.stack([scores[0] for scores in written]).mean()
        return {"generation": spec.generation_weight * generation, "agreement": spec.agreement_weight * divergence}


def naive_writing(objective: GenerationAugmented, encoder: Encoder, batch: Batch, query: int, passage: int) -> Tensor:
    """The mean log-likelihood of a sequence's ordinary tokens, given another sequence."""
    offsets, losses = batch.cu_seqlens.tolist(), []
    first = batch.tokens[offsets[query] : offsets[query + 1]].tolist()
    second = batch.tokens[offsets[passage] : offsets[passage + 1]].tolist()[1:]  # without [CLS]
    tokens = torch.tensor(first + second)
    nothing = torch.zeros_like(tokens).bool()
    states = encoder(View(tokens, torch.tensor([0, len(tokens)]), tokens, nothing, nothing, causal)).last
    for place in range(len(first), len(tokens) - 1):  # not [SEP]
        logits = objective.head(states[place - 1][None])[0] @ encoder.table.t() + objective.head.bias
        losses.append(logits[tokens[place]] - logits.exp().sum().log())
    return torch.stack(losses).mean()


TWIN = WritingTwin()
