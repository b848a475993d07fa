"""Frozen models that an objective learns beside, and a copy that follows the encoder while it trains.

A companion is given from outside: the model that the run started from, what an earlier stage ended with, or a folder.
It is never trained and never saved with a checkpoint, since it can be made again. What it computes counts as FLOPs, as
everything does that runs within a step.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping

import torch
from torch import nn

from reknit.data.batch import View
from reknit.encoders.base import Encoded, Encoder
from reknit.errors import ReknitError

START = "start"
"""The name of the model that the run started from. Other names are those of earlier stages' recipes, or folders."""


class Companions(Mapping[str, Encoder]):
    """Encoders by name, frozen and in evaluation mode.

    It is no module, so that neither an objective's parameters nor its state hold what it is given.
    """

    def __init__(self, encoders: Mapping[str, Encoder] | None = None) -> None:
        self._encoders = {name: frozen(encoder) for name, encoder in (encoders or {}).items()}

    def __getitem__(self, name: str) -> Encoder:
        if name not in self._encoders:
            raise ReknitError(
                f"the objective needs the companion {name!r}, and there is {', '.join(self._encoders) or 'none'}"
            )
        return self._encoders[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._encoders)

    def __len__(self) -> int:
        return len(self._encoders)


def frozen(encoder: Encoder) -> Encoder:
    """The encoder itself, without gradients and in evaluation mode."""
    return encoder.requires_grad_(False).eval()


class MovingAverage(nn.Module):
    """A copy of the encoder that follows it as an exponential moving average (Tarvainen and Valpola 2017, mean teacher,
    https://arxiv.org/abs/1703.01780). A part of its objective, so that checkpoints hold it.

    decay: how much of the old weights each step keeps, 0 to 1.
    """

    def __init__(self, encoder: Encoder, decay: float) -> None:
        super().__init__()
        if not 0.0 <= decay <= 1.0:
            raise ReknitError(f"the decay of a moving average is {decay}: it must be between 0 and 1")
        self.encoder = frozen(copy.deepcopy(encoder))
        self.decay = decay

    def train(self, mode: bool = True) -> MovingAverage:
        """It stays in evaluation mode."""
        return super().train(False)

    @torch.no_grad()
    def forward(self, view: View) -> Encoded:
        """The view as the average encodes it, without gradients."""
        encoded: Encoded = self.encoder(view)
        return encoded

    @torch.no_grad()
    def follow(self, encoder: Encoder) -> None:
        """Move towards the encoder by one step."""
        for mine, theirs in zip(self.encoder.parameters(), encoder.parameters(), strict=True):
            mine.lerp_(theirs.to(mine.dtype), 1.0 - self.decay)
