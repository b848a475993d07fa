"""What is counted as kept for the backward pass, and that it is let go."""

from __future__ import annotations

import weakref

import torch
from torch import Tensor

from reknit.research.kept_bytes import kept_bytes


def test_kept_is_what_the_backward_pass_needs() -> None:
    layer, texts = torch.nn.Linear(3, 5), torch.ones(7, 3)
    weights = tuple(layer.parameters())
    # Of a linear layer its input; of a sigmoid its output; each storage once.
    assert kept_bytes(lambda: layer(texts), weights) == 4 * 7 * 3
    assert kept_bytes(lambda: layer(texts).sigmoid(), weights) == 4 * (7 * 3 + 7 * 5)
    assert kept_bytes(lambda: layer(texts).sigmoid().sigmoid(), weights) == 4 * (7 * 3 + 2 * 7 * 5)
    assert kept_bytes(lambda: layer(texts) * layer(texts), weights) == 4 * (7 * 3 + 2 * 7 * 5)
    with torch.no_grad():
        assert kept_bytes(lambda: layer(texts).sigmoid(), weights) == 0


def test_nothing_stays_in_memory() -> None:
    layer, seen = torch.nn.Linear(3, 5), []

    def forward() -> Tensor:
        output = layer(torch.ones(7, 3)).sigmoid()
        seen.append(weakref.ref(output))
        return output

    kept_bytes(forward, ())
    assert seen[0]() is None
