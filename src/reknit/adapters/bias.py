"""BitFit: only the biases are trained (Ben Zaken et al. 2022, https://arxiv.org/abs/2106.10199)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from reknit.adapters.base import Adapter, AdapterSpec
from reknit.adapters.places import biased
from reknit.encoders.native.encoder import NativeEncoder
from reknit.errors import ReknitError


@dataclass(frozen=True)
class BiasSpec(AdapterSpec):
    """BitFit: every bias of the encoder, those of norms too."""

    kind: ClassVar[str] = "bitfit"

    def build(self, encoder: NativeEncoder) -> BiasAdapter:
        return BiasAdapter(encoder)


class BiasAdapter(Adapter):
    """What is added to each bias; zero at first. See `BiasSpec`."""

    def __init__(self, encoder: NativeEncoder) -> None:
        super().__init__()
        places = biased(encoder)
        if not places:
            raise ReknitError("this encoder has no biases to train: choose another method than bitfit")
        # A parameter's name has no dots.
        self.changes = nn.ParameterDict(
            {path.replace(".", "/"): torch.zeros_like(module.bias) for path, module in places.items()}
        )

    def attach(self, encoder: NativeEncoder) -> list[RemovableHandle]:
        return [
            module.register_forward_hook(partial(self._add, path.replace(".", "/")))
            for path, module in biased(encoder).items()
        ]

    def merge_into(self, encoder: NativeEncoder) -> None:
        with torch.no_grad():
            for path, module in biased(encoder).items():
                module.bias.add_(self.changes[path.replace(".", "/")])

    def _add(self, name: str, module: nn.Module, arguments: tuple[Tensor], output: Tensor) -> Tensor:
        changed: Tensor = output + self.changes[name]
        return changed
