"""Losses written out with Python loops, to hold the fast ones against."""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor

from reknit.data.batch import TeacherTargets


def naive_cross_entropy(states: Tensor, table: Tensor, bias: Tensor | None, targets: Tensor) -> Tensor:
    total = states.new_zeros(())
    for state, target in zip(states, targets.tolist(), strict=True):
        logits = torch.stack([state @ row for row in table])
        if bias is not None:
            logits = logits + bias
        total = total - (logits[target] - logits.exp().sum().log())
    return total / max(len(targets), 1)


def naive_reweighted(means: list[Tensor], strategy: str, temperature: float) -> Tensor:
    low, high = min(means).item(), max(means).item()
    places = [2 * (mean.item() - low) / max(high - low, 1e-6) - 1 for mean in means]
    worth = {"linupper": lambda h: min(h + 1, 1), "quadratic": lambda h: 1 - h * h, "extremes": abs}[strategy]
    weights = [math.exp(worth(place) / temperature) for place in places]
    return sum(weight * mean for weight, mean in zip(weights, means, strict=True)) / sum(weights)


def naive_matching(states: Tensor, targets: Tensor) -> Tensor:
    losses = []
    for own, state in enumerate(states):
        scores = [state @ target for target in targets]
        losses.append(torch.stack(scores).exp().sum().log() - scores[own])
    return torch.stack(losses).mean() if losses else states.new_zeros(())


def naive_binary_cross_entropy(logits: Tensor, labels: list[bool]) -> Tensor:
    total = logits.new_zeros(())
    for logit, label in zip(logits, labels, strict=True):
        right = 1 / (1 + (-logit).exp()) if label else 1 / (1 + logit.exp())
        total = total - right.log()
    return total / max(len(labels), 1)


def naive_distribution_divergence(states: Tensor, table: Tensor, bias: Tensor, targets: Tensor) -> Tensor:
    losses = []
    for state, wanted in zip(states, targets.tolist(), strict=True):
        if sum(wanted) == 0:
            continue
        logits = torch.stack([state @ row for row in table]) + bias
        total = logits.exp().sum().log()
        losses.append(sum(share * (math.log(share) - (logits[v] - total)) for v, share in enumerate(wanted) if share))
    return torch.stack(losses).mean() if losses else states.new_zeros(())


def naive_info_nce(
    queries: Tensor,
    passages: Tensor,
    groups: list[int] | None,
    temperature: float,
    symmetric: bool = False,
    same_side: bool = False,
    focal: float = 0.0,
    mixed: int = 0,
) -> Tensor:
    count = len(queries)
    groups = groups or list(range(count))

    def similarity(first: Tensor, second: Tensor) -> Tensor:
        return (first @ second) / (first.norm() * second.norm()) / temperature

    def one_direction(anchors: Tensor, partners: Tensor) -> Tensor:
        losses = []
        for i in range(count):
            scores = [similarity(anchors[i], partners[i])]
            for j in range(count):
                if groups[j] != groups[i]:
                    scores.append(similarity(anchors[i], partners[j]))
                    if same_side:
                        scores.append(similarity(anchors[i], anchors[j]))
            others = [j for j in range(count) if groups[j] != groups[i]]
            if mixed and others:
                hardest = sorted(others, key=lambda j: -float(similarity(anchors[i], partners[j])))[:mixed]
                weights = [similarity(anchors[i], partners[j]).exp() for j in hardest]
                units = [partners[j] / partners[j].norm() for j in hardest]
                mixture = sum(w * unit for w, unit in zip(weights, units, strict=True)) / sum(weights)
                scores.append(similarity(anchors[i], mixture))
            loss = torch.stack(scores).exp().sum().log() - scores[0]
            losses.append(loss * (1 - float((-loss.detach()).exp())) ** focal)
        return torch.stack(losses).mean()

    loss = one_direction(queries, passages)
    return (loss + one_direction(passages, queries)) / 2 if symmetric else loss


def naive_score_divergence(student: Tensor, teacher: Tensor, groups: list[int], temperature: float) -> Tensor:
    """Of pairs of vectors, query and passage in turns."""
    losses = []
    for i in range(len(groups)):
        seen = [j for j in range(len(groups)) if j == i or groups[j] != groups[i]]
        shares = []
        for vectors in (student, teacher):
            query, passages = vectors[2 * i], [vectors[2 * j + 1] for j in seen]
            scores = [query @ one / (query.norm() * one.norm()) / temperature for one in passages]
            total = torch.stack(scores).exp().sum()
            shares.append([score.exp() / total for score in scores])
        losses.append(sum(b * (b.log() - a.log()) for a, b in zip(*shares, strict=True)))
    return torch.stack(losses).mean()


def naive_bag_of_words(
    states: Tensor, table: Tensor, bias: Tensor | None, offsets: list[int], words: list[int]
) -> Tensor:
    losses = []
    for start, stop in pairwise(offsets):
        if start == stop:
            continue
        pooled = [
            torch.stack([states[t] @ row + (0.0 if bias is None else bias[v]) for t in range(start, stop)]).max()
            for v, row in enumerate(table)
        ]
        log_total = torch.stack(pooled).exp().sum().log()
        distinct = set(words[start:stop])
        losses.append(-sum((pooled[w] - log_total) for w in distinct) / (stop - start))
    return torch.stack(losses).mean() if losses else states.new_zeros(())


def naive_ranking_divergence(queries: Tensor, lesson: TeacherTargets, temperature: float) -> Tensor:
    losses = []
    for query, target, hidden in zip(queries, lesson.targets, lesson.left_out.tolist(), strict=True):
        seen = [place for place in range(len(lesson.documents)) if not hidden[place]]
        scores = [query @ lesson.documents[place] / query.norm() / temperature for place in seen]
        total = torch.stack(scores).exp().sum()
        loss = queries.new_zeros(())
        for place, score in zip(seen, scores, strict=True):
            wanted = float(target[place])
            if wanted > 0:
                loss = loss + wanted * (math.log(wanted) - (score.exp() / total).log())
        losses.append(loss)
    return torch.stack(losses).mean()


def naive_adversarial_ranking(retriever: list[Tensor], ranker: list[Tensor]) -> Tensor:
    """Of lists of any lengths, each the scores of a query's own passage and of the others."""
    losses = []
    for found, scores in zip(retriever, ranker, strict=True):
        own, total, loss = float(scores[0]), found.exp().sum(), found.new_zeros(())
        for one, score in zip(found, scores.tolist(), strict=True):
            share = math.exp(own) / (math.exp(own) + math.exp(score))
            loss = loss + math.log(share) * (one.exp() / total).log()
        losses.append(loss)
    return torch.stack(losses).mean()


def naive_distilled_ranking(retriever: list[Tensor], ranker: list[Tensor]) -> Tensor:
    losses = []
    for found, scores in zip(retriever, ranker, strict=True):
        total, wanted = found.exp().sum(), [float(score.exp() / scores.exp().sum()) for score in scores]
        losses.append(-sum(share * (one.exp() / total).log() for share, one in zip(wanted, found, strict=True)))
    return torch.stack(losses).mean()


def naive_list_cross_entropy(ranker: list[Tensor]) -> Tensor:
    return torch.stack([-(scores[0].exp() / scores.exp().sum()).log() for scores in ranker]).mean()


def chance(choices: int) -> float:
    """The cross-entropy, in nats, of guessing among equally likely choices."""
    return math.log(choices)
