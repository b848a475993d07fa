"""Stems by loops over one sequence at a time, to hold the packed ones against."""

from __future__ import annotations

import torch
from encoder_samples import one_by_one
from stem_checks import WORD_END, WordMeans
from torch import Tensor, nn

from reknit.data.batch import View
from reknit.encoders.stems.base import Stem
from reknit.encoders.stems.patches import PatchStem

PATCH = 9


def naive_tokens(_: Stem, look_up: nn.Embedding, view: View) -> list[Tensor]:
    return [torch.stack([look_up.weight[int(token)] for token in tokens]) for *_, tokens in one_by_one(view)]


def naive_patches(stem: PatchStem, look_up: nn.Embedding, view: View) -> list[Tensor]:
    assert view.signal is not None
    held = dict(zip(view.signal.at.tolist(), view.signal.values, strict=True))
    made = []
    for start, _, tokens in one_by_one(view):
        vectors = []
        for place, token in enumerate(tokens.tolist(), start):
            vector = look_up.weight[token]
            if place in held:
                shown = stem.projection.weight @ held[place] + stem.projection.bias
                vector = stem.mask if view.masked[place] else shown
            vectors.append(vector)
        made.append(torch.stack(vectors))
    return made


def naive_words(stem: WordMeans, look_up: nn.Embedding, view: View) -> list[Tensor]:
    made = []
    for *_, tokens in one_by_one(view):
        words: list[list[Tensor]] = [[]]
        for token in tokens.tolist():
            words[-1].append(stem.projection(look_up.weight[token]))
            if token == WORD_END:
                words.append([])
        made.append(torch.stack([torch.stack(word).mean(dim=0) for word in words if word]))
    return made
