"""Masked picture modelling: the pixels of masked patches, from the states of a picture whose other patches are seen."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import torch
from torch import Tensor, nn

from reknit.corruptions.patch_masking import mask_patches
from reknit.data.batch import Batch, View, Vocabulary
from reknit.decoders.initial_weights import draw_like_bert
from reknit.decoders.stack import TransformerStack
from reknit.encoders.base import Encoder
from reknit.encoders.native.config import default_heads
from reknit.encoders.native.encoder import NativeEncoder
from reknit.encoders.stems.patches import PatchStem
from reknit.errors import ReknitError
from reknit.losses.absolute_error import absolute_error
from reknit.objectives.base import Objective, ObjectiveSpec, StepOutput
from reknit.ranges import NonNegativeInt, PositiveFraction, PositiveInt


@dataclass(frozen=True)
class MaskedPicturesSpec(ObjectiveSpec):
    """SimMIM (Xie et al. 2022)."""

    ratio: PositiveFraction = 0.6
    """Fraction of the squares of a picture that are masked and predicted."""
    unit: PositiveInt = 2
    """Patches of a side of such a square: 2 patches of 16 pixels are squares of 32."""
    head_layers: NonNegativeInt = 0
    """Transformer layers of the head before its linear layer, which the exported model does without; 0 for a linear
    head.
    """

    def build(self, encoder: Encoder, vocabulary: Vocabulary, pooling: str) -> MaskedPictures:
        if not isinstance(encoder, NativeEncoder) or not isinstance(encoder.stem, PatchStem):
            raise ReknitError("this recipe predicts patches of pictures, which the encoder does not read")
        side = math.isqrt(encoder.config.max_positions - 1)
        if self.unit > side:
            raise ReknitError(f"objective.unit is {self.unit} patches, and a picture has {side} a side: set it lower")
        return MaskedPictures(self, encoder.dim, encoder.stem.projection.in_features)


class MaskedPictures(Objective[Encoder]):
    """Loss "pixels": mean absolute error of the normalised pixels of masked patches."""

    visible: Mapping[str, str] = MappingProxyType({})

    def __init__(self, spec: MaskedPicturesSpec, dim: int, values: int) -> None:
        super().__init__()
        self.spec = spec
        self.layers = (
            TransformerStack(dim, spec.head_layers, default_heads(dim), intermediate=4 * dim)
            if spec.head_layers
            else None
        )
        self.pixels = nn.Linear(dim, values)
        draw_like_bert((self.pixels,))

    def forward(self, encoder: Encoder, batch: Batch, rng: torch.Generator) -> StepOutput:
        predicted, wanted, _ = self.predictions(encoder, batch, rng)
        return StepOutput({"pixels": absolute_error(predicted, wanted)})

    def floors(self, encoder: Encoder, batch: Batch, rng: torch.Generator) -> dict[str, float | str]:
        """Of independent numbers of one distribution the best guess is their median."""
        view = mask_patches(batch, rng, ratio=self.spec.ratio, unit=self.spec.unit)
        assert view.signal is not None
        wanted = view.signal.values[view.masked[view.signal.at]].float()
        return {"pixels": float((wanted - wanted.median()).abs().mean())}

    def predictions(self, encoder: Encoder, batch: Batch, rng: torch.Generator) -> tuple[Tensor, Tensor, View]:
        """[P, F] predicted and wanted values of the masked patches, in order, and the view that they are masked in."""
        view = mask_patches(batch, rng, ratio=self.spec.ratio, unit=self.spec.unit)
        assert view.signal is not None
        encoded = encoder(view)
        states = encoded.last if self.layers is None else self.layers(encoded.last, encoded.cu_seqlens)
        asked = view.masked[view.signal.at]
        return self.pixels(states[view.signal.at[asked]]), view.signal.values[asked], view
