"""Mixers by loops over one sequence, to hold the fast ones against."""

from __future__ import annotations

import torch
from torch import Tensor

from reknit.encoders.mixers.base import Mixer


def naive_attention(mixer: Mixer, rows: Tensor, causal: bool) -> Tensor:
    """[L, 3 * dim] query, key and value of one sequence -> [L, dim]."""
    if len(rows) == 0:
        return rows[:, : mixer.dim]
    queries, keys, values = (part.unflatten(1, (mixer.heads, -1)) for part in rows.chunk(3, dim=1))
    out = []
    for place in range(len(rows)):
        seen = place + 1 if causal else len(rows)
        heads = []
        for head in range(mixer.heads):
            scores = keys[:seen, head] @ queries[place, head] * queries.shape[-1] ** -0.5
            heads.append(scores.softmax(dim=0) @ values[:seen, head])
        out.append(torch.cat(heads))
    return torch.stack(out)
