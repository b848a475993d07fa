"""DupMAE's bag of words, one text and one word at a time."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor


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
