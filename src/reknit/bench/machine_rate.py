"""What the machine's matrix units reach: the ceiling that every speed is a share of."""

from __future__ import annotations

import time
from functools import cache

import torch

from reknit.jobs.precision import best_device

SIZE = {"cpu": 2048, "cuda": 8192}
REPEATS = 7


@cache
def matrix_rate(precision: str) -> float:
    """FLOP/s of the best of some square matrix products in "float32" or "bfloat16" on the best device.

    Measured once in a process, so that a record holds the rate which its shares are of.
    """
    device = best_device()
    size = SIZE[device.type]
    left, right = (torch.randn(size, size, device=device, dtype=getattr(torch, precision)) for _ in range(2))
    seconds = []
    for _ in range(REPEATS):
        _synchronise(device)
        started = time.perf_counter()
        left @ right
        _synchronise(device)
        seconds.append(time.perf_counter() - started)
    return 2 * size**3 / min(seconds)


def _synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()
