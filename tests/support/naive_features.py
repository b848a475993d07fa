"""Feature models, their words and their measures by plain loops, to compare the fast ones with."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence

import torch
from torch import Tensor

from reknit.interpretability.feature_model import FeatureModel, FeatureModelSpec


def naive_inputs(states: Tensor) -> Tensor:
    """Each state less its mean, over its standard deviation (of a sample), one number at a time."""
    rows = []
    for state in states.tolist():
        mean = sum(state) / len(state)
        spread = math.sqrt(sum((value - mean) ** 2 for value in state) / (len(state) - 1))
        rows.append([(value - mean) / (spread + 1e-5) for value in state])
    return torch.tensor(rows, dtype=states.dtype)


def naive_afa_count(activations: Sequence[float], length: float) -> int:
    """How many of the largest activations bring the length of the code nearest to `length`; the first of ties, never
    all."""
    ordered = sorted(activations, reverse=True)
    best, nearest, total = 1, math.inf, 0.0
    for count, activation in enumerate(ordered[:-1], 1):
        total += activation * activation
        distance = abs(math.sqrt(total) - length)
        if distance < nearest:
            best, nearest = count, distance
    return best


def naive_topk_code(activations: Tensor, counts: Sequence[int]) -> Tensor:
    """Of each row the so many largest; the first of equal ones."""
    code = torch.zeros_like(activations)
    for row, count in enumerate(counts):
        order = sorted(range(activations.shape[1]), key=lambda place: (-float(activations[row, place]), place))
        for place in order[:count]:
            code[row, place] = activations[row, place]
    return code


def naive_losses(model: FeatureModel, spec: FeatureModelSpec, states: Tensor, idle: Sequence[int]) -> dict[str, Tensor]:
    """The losses of a step by loops over states and features; idle: steps without firing, this step's code counted."""
    inputs = naive_inputs(states.detach())
    with torch.no_grad():
        kept = model.select(model.activations(inputs), inputs) > 0
    squared, auxiliary, norms = [], [], []
    dead = [feature for feature, steps in enumerate(idle) if steps >= spec.dead_after]
    for row, state in enumerate(inputs):
        activations = [torch.relu((state - model.bias) @ model.encoder[:, feature]) for feature in range(model.width)]
        code = [one if kept[row, feature] else one * 0 for feature, one in enumerate(activations)]
        rebuilt = model.bias
        for feature, one in enumerate(code):
            rebuilt = rebuilt + one * model.decoder[feature]
        left = state - rebuilt
        squared.append(left.square())
        norms.append((torch.stack(code).norm() - state.norm()) ** 2)
        largest = sorted(dead, key=lambda feature: -float(activations[feature].detach()))[: spec.auxiliary_features]
        guess = sum((activations[feature] * model.decoder[feature] for feature in largest), torch.zeros_like(state))
        auxiliary.append((guess - left).square())
    losses = {"reconstruction": torch.stack(squared).mean()}
    if spec.auxiliary_weight and dead:
        losses["auxiliary"] = spec.auxiliary_weight * torch.stack(auxiliary).mean()
    if spec.norm_weight:
        losses["norm"] = spec.norm_weight * torch.stack(norms).mean()
    return losses


def naive_auroc(scores: Sequence[float], positive: Sequence[bool]) -> float:
    """Fraction of (positive, negative) pairs in which the positive one scores higher, ties one half."""
    pairs = [
        (s, t)
        for s, yes in zip(scores, positive, strict=True)
        if yes
        for t, no in zip(scores, positive, strict=True)
        if not no
    ]
    return sum(1.0 if s > t else 0.5 if s == t else 0.0 for s, t in pairs) / len(pairs)


def naive_words(texts: Sequence[Sequence[tuple[str, float]]], seen: int, words: int, least: int = 5) -> list[str]:
    """The words that describe one feature. texts: (word, activation) of each word of each text."""
    counts: Counter[str] = Counter()
    mass: defaultdict[str, float] = defaultdict(float)
    for text in texts[:seen]:
        for word, activation in text:
            counts[word] += 1
            mass[word] += activation
    total, activity = sum(counts.values()), sum(mass.values())
    gains = {}
    for word in sorted(counts):
        q, p = mass[word] / max(activity, 1e-12), counts[word] / total
        if counts[word] >= least and q / p >= 2:
            gains[word] = q * math.log(q / p)
    return sorted(gains, key=lambda word: -gains[word])[:words]
