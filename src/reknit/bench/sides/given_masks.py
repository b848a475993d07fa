"""Masked language modelling on weights and masks that the other side of a benchmark has too."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor

from reknit.data.batch import Batch, View
from reknit.encoders.base import Encoder
from reknit.objectives.masked_language_model import MaskedLanguageModel, MaskedLanguageModelSpec
from reknit.objectives.predictions import tied_vocabulary

_HEAD = "cls.predictions."
_NAMES = {
    "dense.weight": "transform.dense.weight",
    "dense.bias": "transform.dense.bias",
    "norm.weight": "transform.LayerNorm.weight",
    "norm.bias": "transform.LayerNorm.bias",
    "bias": "bias",
}


@dataclass(frozen=True)
class GivenRows(MaskedLanguageModelSpec):
    """rows: what the encoder sees and whether it is asked for, by the bytes of a sequence's tokens."""

    rows: dict[bytes, tuple[Tensor, Tensor]] = field(default_factory=dict)

    def corrupt(self, batch: Batch, rng: torch.Generator) -> View:
        """The view with the given masks; nothing is drawn. A sequence that is in no row is a KeyError."""
        sequences = batch.tokens.cpu().split(batch.cu_seqlens.diff().tolist())
        rows = [self.rows[sequence.numpy().tobytes()] for sequence in sequences]
        seen, predict = (torch.cat(parts).to(batch.tokens.device) for parts in zip(*rows, strict=True))
        return View(seen, batch.cu_seqlens, batch.tokens, predict, masked=seen != batch.tokens)


class GivenMasks(MaskedLanguageModel):
    """`MaskedLanguageModel` with the head of a saved BertForMaskedLM and the masks that `material.mask_rows` made.

    masked: rows {"seen": ids that the encoder sees, "labels": the id asked for, or -100}.
    """

    def __init__(self, encoder: Encoder, model: Path, masked: list[dict[str, Any]]) -> None:
        rows: dict[bytes, tuple[Tensor, Tensor]] = {}
        for row in masked:
            seen, labels = torch.tensor(row["seen"]), torch.tensor(row["labels"])
            predict = labels != -100
            rows[torch.where(predict, labels, seen).numpy().tobytes()] = seen, predict
        super().__init__(GivenRows(rows=rows), encoder.dim, tied_vocabulary(encoder))
        with safe_open(model / "model.safetensors", framework="pt") as weights:
            self.head.load_state_dict({ours: weights.get_tensor(_HEAD + name) for ours, name in _NAMES.items()})
