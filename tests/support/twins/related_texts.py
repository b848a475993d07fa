"""The structural objectives written out with loops: one joined text at a time, its lists drawn one by one."""

from __future__ import annotations

from contextlib import AbstractContextManager
from itertools import pairwise
from unittest import mock

import torch
from torch import Tensor
from toy_models import amplify

from reknit.corruptions.masking import mask_tokens
from reknit.data.batch import Batch, View
from reknit.decoders.enhanced import hashed_uniform
from reknit.encoders.base import Encoder
from reknit.objectives import related_texts
from reknit.objectives.draws import draw_seed
from reknit.objectives.related_texts import RelatedTexts
from twins.base import Losses, Twin, groups_of, same_draws
from twins.losses.binary_cross_entropy import naive_binary_cross_entropy
from twins.losses.cross_entropy import naive_cross_entropy


class RelatedTwin(Twin):
    def compare(self, objective: RelatedTexts, encoder: Encoder, batch: Batch) -> tuple[Losses, Losses]:
        amplify(objective, encoder, factor=2.0)  # what a fresh head says hardly depends on what is read
        losses = objective(encoder, batch, same_draws()).losses
        return losses, naive_related_texts(objective, encoder, batch, same_draws())

    def alone(self) -> AbstractContextManager[object]:
        """Neighbours are what a first text is read with, besides its own."""
        return mock.patch.object(related_texts, "drawn_lists", _own_pairs)


def naive_related_texts(objective: RelatedTexts, encoder: Encoder, batch: Batch, rng: torch.Generator) -> Losses:
    spec, seed, groups = objective.spec, draw_seed(rng), groups_of(batch)
    texts = [slice(start, end) for start, end in pairwise(batch.cu_seqlens.tolist())]
    together, labels = [], []
    for i, group in enumerate(groups):
        by_chance = sorted(range(len(groups)), key=lambda j, i=i: _draw(seed, i, j))
        hard = [j for j in by_chance if j != i and groups[j] == group][: spec.hard_negatives]
        easy = [j for j in by_chance if groups[j] != group][: spec.negatives - len(hard)]
        for j in (i, *hard, *easy):
            first, second = texts[2 * i], texts[2 * j + 1]
            without_opening = slice(second.start + 1, second.stop)
            together.append(
                tuple(
                    torch.cat((of[first], of[without_opening]))
                    for of in (batch.tokens, batch.special, batch.word_starts)
                )
            )
            labels.append(j == i)
    joined = Batch.pack(together, batch.vocabulary)
    masked = spec.masked
    view = mask_tokens(joined, rng, ratio=masked.ratio, random_share=masked.random_share, keep_share=masked.keep_share)
    states, targets, logits = [], [], []
    for start, end in pairwise(joined.cu_seqlens.tolist()):
        shown, asked = view.tokens[start:end], view.predict[start:end]
        nothing = torch.zeros_like(asked)
        last = encoder(View(shown, torch.tensor([0, end - start]), shown, nothing, nothing)).last
        states.append(objective.head(last[asked]))
        targets.append(joined.tokens[start:end][asked])
        vector = last.mean(dim=0) if objective.pooling == "mean" else last[0]
        logits.append(objective.related(vector[None])[0])
    loss = naive_cross_entropy(torch.cat(states), encoder.table, objective.head.bias, torch.cat(targets))
    return {
        "masked": loss,
        "related": spec.related_weight * naive_binary_cross_entropy(torch.stack(logits), labels),
    }


def _draw(seed: int, i: int, j: int) -> float:
    return float(hashed_uniform(seed, torch.tensor(i), torch.tensor(j)))


def _own_pairs(batch: Batch, negatives: int, hard: int, seed: int) -> tuple[Tensor, Tensor]:
    """In place of `drawn_lists`: no negatives."""
    own = torch.arange(batch.num_sequences // 2)[:, None]
    return own, torch.ones_like(own, dtype=torch.bool)


TWIN = RelatedTwin()
