"""Which number format the matrix products run in, chosen by asking the machine."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any, Literal

import torch

PrecisionName = Literal["float32", "bfloat16"]
PrecisionChoice = Literal["auto", "float32", "bfloat16"]


def best_device() -> torch.device:
    """The accelerator if there is one, else the processor."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def resolve_precision(choice: PrecisionChoice, device: torch.device) -> PrecisionName:
    """`auto` is bfloat16 where the machine has matrix or vector units for it, else float32."""
    if choice != "auto":
        return choice
    if device.type == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float32"
    return "bfloat16" if _processor_has_bfloat16() else "float32"


def autocast(precision: PrecisionName, device: torch.device) -> AbstractContextManager[Any]:
    """Run matrix products in `precision`; weights, norms, softmax and losses stay float32."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "bfloat16")


def _processor_has_bfloat16() -> bool:
    # torch has no public query for these units; an emulated bfloat16 would be slower than float32.
    checks = ("_is_amx_tile_supported", "_is_avx512_bf16_supported")
    return any(getattr(torch.cpu, name, bool)() for name in checks)
