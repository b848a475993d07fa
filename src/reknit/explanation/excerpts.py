"""The features of the result, and for those on the page the passages in which they fire most."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from reknit.explanation.material import Material
from reknit.explanation.result import Excerpt, Feature
from reknit.interpretability.descriptions import Descriptions, Readings
from reknit.interpretability.feature_model import FeatureModel

MARKED_FROM = 0.5
"""Of a feature's largest activation in a passage."""


def features_found(
    material: Material, features: FeatureModel, readings: Readings, described: Descriptions
) -> tuple[Feature, ...]:
    """All live features by number. `shown` of them have excerpts: a random sample of those whose words could be tested,
    and of the others where these are too few."""
    config = material.config
    live, tested = np.flatnonzero(described.live), described.tested
    rng = np.random.default_rng([config.seed, 1])
    order = [*rng.permutation(tested).tolist(), *rng.permutation(np.setdiff1d(live, tested)).tolist()]
    shown = set(order[: config.shown])
    return tuple(
        Feature(
            number=number,
            firing=float(readings.firing[number]),
            auroc=float(described.auroc[number]) if np.isfinite(described.auroc[number]) else None,
            words=described.words[number],
            excerpts=_excerpts(material, features, readings, number) if number in shown else (),
        )
        for number in live.tolist()
    )


def _excerpts(material: Material, features: FeatureModel, readings: Readings, feature: int) -> tuple[Excerpt, ...]:
    peaks = readings.peaks[:, feature]
    best = [text for text in np.argsort(-peaks, kind="stable")[: material.config.excerpts].tolist() if peaks[text] > 0]
    return tuple(_excerpt(material, features, feature, text) for text in best)


def _excerpt(material: Material, features: FeatureModel, feature: int, number: int) -> Excerpt:
    (block,) = material.store.blocks(number, number + 1)
    with torch.inference_mode():
        code = features.encode(block.states.to(features.decoder.device))[:, feature].cpu().numpy()
    passage, model = material.passage(number), material.model
    spans = model.tokenizer.spans(passage.full_text, model.max_length)
    # A special token may be where a feature fires most; nothing of the text can be marked for that.
    there = np.where(block.batch.special.numpy(), 0.0, code)
    return Excerpt(
        id=passage.id,
        title=passage.title,
        text=passage.full_text,
        marks=marks_of(spans, there, passage.full_text),
        activation=float(there.max()),
        unseen=number >= material.seen,
    )


def marks_of(spans: np.ndarray, activations: np.ndarray, text: str) -> tuple[tuple[int, int], ...]:
    """Places of a text, in order and apart, where a token's activation is at least `MARKED_FROM` of the largest.

    spans: [T, 2] characters of each token. activations: [T], 0 or more. Marks that touch, or have only white space
    between them, are one.
    """
    largest = activations.max(initial=0.0)
    if largest <= 0:
        return ()
    found = sorted(tuple(span) for span in spans[activations >= MARKED_FROM * largest].tolist() if span[1] > span[0])
    return _joined(found, text)


def _joined(spans: Sequence[tuple[int, ...]], text: str) -> tuple[tuple[int, int], ...]:
    joined: list[tuple[int, int]] = []
    for start, end in spans:
        if joined and not text[joined[-1][1] : start].strip():
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        else:
            joined.append((start, end))
    return tuple(joined)
