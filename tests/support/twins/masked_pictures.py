"""Masked pictures by loops: which squares are masked, and the error of each number of each masked patch."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from reknit.data.batch import Batch, View
from reknit.encoders.base import Encoder
from reknit.objectives.predictions import Choices, Predictions
from twins.base import Losses, Twin, same_draws


def naive_masked(batch: Batch, rng: torch.Generator, ratio: float, unit: int) -> list[int]:
    """Positions of the masked patches: of each picture the squares with the smallest numbers, one drawn for each row of
    the batch, of which a square has that of its first patch."""
    assert batch.signal is not None
    draws = torch.rand(batch.num_tokens, generator=rng).tolist()
    masked: list[int] = []
    places = dict(zip(batch.signal.at.tolist(), batch.signal.places.tolist(), strict=True))
    bounds = batch.cu_seqlens.tolist()
    for start, stop in pairwise(bounds):
        squares: dict[tuple[int, int], list[int]] = {}
        for position in range(start, stop):
            if position in places:
                row, column = places[position]
                squares.setdefault((row // unit, column // unit), []).append(position)
        drawn = sorted(squares.values(), key=lambda square: draws[square[0]])
        for square in drawn[: math.ceil(ratio * len(squares))]:
            masked += square
    return sorted(masked)


class MaskedPicturesTwin(Twin):
    def compare(self, objective: Any, encoder: Encoder, batch: Batch) -> tuple[Losses, Losses]:
        losses = objective(encoder, batch, same_draws()).losses
        masked = naive_masked(batch, same_draws(), objective.spec.ratio, objective.spec.unit)
        hidden = torch.zeros_like(batch.special)
        hidden[masked] = True
        encoded = encoder(replace(View.clean(batch), masked=hidden))
        states = encoded.last if objective.layers is None else objective.layers(encoded.last, encoded.cu_seqlens)
        assert batch.signal is not None
        held = dict(zip(batch.signal.at.tolist(), batch.signal.values, strict=True))
        errors = []
        for position in masked:
            predicted = objective.pixels.weight @ states[position] + objective.pixels.bias
            errors += [abs(float(one) - float(other)) for one, other in zip(predicted, held[position], strict=True)]
        return losses, {"pixels": torch.tensor(sum(errors) / len(errors))}

    def predictions(
        self, objective: Any, encoder: Encoder, batch: Batch, rng: torch.Generator
    ) -> dict[str, Predictions]:
        predicted, wanted, view = objective.predictions(encoder, batch, rng)
        positions = view.masked.nonzero().squeeze(1)
        return {"pixels": Predictions(predicted, positions, wanted, torch.ones_like(positions, dtype=torch.bool))}

    def put_another(self, batch: Batch, position: int, choices: Choices | None) -> tuple[Batch, Tensor]:
        assert batch.signal is not None
        values = batch.signal.values.clone()
        row = batch.signal.at.tolist().index(position)
        values[row] += 1.0
        return replace(batch, signal=replace(batch.signal, values=values)), values[row]


TWIN = MaskedPicturesTwin()
