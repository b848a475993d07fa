"""Tokens drawn from what a language-model head says, without a table of all its logits."""

from __future__ import annotations

import torch
from torch import Tensor

from reknit.losses.cross_entropy import chunk_rows


@torch.no_grad()
def sampled_tokens(states: Tensor, table: Tensor, bias: Tensor, draws: Tensor, allowed: Tensor) -> Tensor:
    """[P] int64, a token for each state, drawn from softmax(states @ table.T + bias) over the allowed ids.

    states: [P, width] after the head. draws: [P] uniform numbers from 0 to below 1, one decides each token (by the
    inverse of the cumulated probabilities). allowed: [A] int64 ascending ids.
    """
    found = torch.empty(states.shape[0], dtype=torch.long, device=states.device)
    rows = chunk_rows(states.device, table.shape[0])
    for first in range(0, states.shape[0], rows):
        part = slice(first, first + rows)
        logits = (states[part] @ table.t()).float() + bias.float()
        cumulated = logits[:, allowed].softmax(dim=1).cumsum(dim=1)
        # Rounding may leave the last sum below 1: a share of it is asked for.
        wanted = draws[part, None].float() * cumulated[:, -1:]
        place = torch.searchsorted(cumulated, wanted, right=True).squeeze(1).clamp(max=allowed.numel() - 1)
        found[part] = allowed[place]
    return found
