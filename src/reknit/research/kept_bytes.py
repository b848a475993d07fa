"""What a forward pass keeps for its backward pass."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor


def kept_bytes(forward: Callable[[], Tensor], weights: Iterable[Tensor]) -> int:
    """Bytes of the tensors that autograd saves during `forward`, each storage once and without those of `weights`."""
    saved: list[Tensor] = []  # all alive until they are counted, so that no storage gets the place of another

    def save(tensor: Tensor) -> Tensor:
        # The tensor itself would hold its graph, and the graph it: a circle that no collector finds.
        saved.append(tensor.detach())
        return saved[-1]

    with torch.autograd.graph.saved_tensors_hooks(save, lambda tensor: tensor):
        forward()
    storages = {tensor.untyped_storage().data_ptr(): tensor.untyped_storage().nbytes() for tensor in saved}
    ours = {weight.untyped_storage().data_ptr() for weight in weights}
    return sum(size for place, size in storages.items() if place not in ours)
