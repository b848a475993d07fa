"""The labelled texts of one seed: some labels, few texts to learn from, many to judge by."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np

from reknit.errors import ReknitError
from reknit.evaluation.classification import ClassificationSet

Labels = Literal["all", "quarter", "shuffled"]


def drawn_labels(data: ClassificationSet, labels: int, texts: int, judging: int, seed: int) -> ClassificationSet:
    """Labels drawn by the seed, and of their texts, of both files, `texts` to learn from and others to judge by.

    Labels at odd places of their alphabetical order are left out where there are enough: learning rates were chosen on
    them. judging: texts at most. Raises ReknitError when there are too few labels or texts.
    """
    names = sorted({label for label, _ in data.train})
    names = names[::2] if len(names) >= 2 * labels else names
    rng = np.random.default_rng([seed, 11])
    if len(names) < labels:
        raise ReknitError(f"{data.name} has {len(names)} labels; {labels} are asked for")
    chosen = {names[place] for place in rng.permutation(len(names))[:labels].tolist()}
    rows = [row for row in dict.fromkeys([*data.train, *data.test]) if row[0] in chosen]
    order = [rows[place] for place in rng.permutation(len(rows)).tolist()]
    if len(order) < 2 * texts:
        raise ReknitError(f"{data.name} has {len(order)} texts of these labels; {2 * texts} are needed")
    return ClassificationSet(data.name, order[:texts], order[texts : texts + judging])


def spoilt(data: ClassificationSet, labels: Labels, seed: int) -> ClassificationSet:
    """The same with a quarter of the texts to learn from, or with their labels shuffled; or as it is ("all")."""
    if labels == "quarter":
        return replace(data, train=data.train[: len(data.train) // 4])
    if labels == "shuffled":
        order = np.random.default_rng([seed, 12]).permutation(len(data.train)).tolist()
        return replace(
            data, train=[(data.train[other][0], text) for other, (_, text) in zip(order, data.train, strict=True)]
        )
    return data
