"""The settings of an encoder of pictures that is built from scratch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch

from reknit.data.images.patches import PICTURE_VOCABULARY
from reknit.encoders.huggingface.family import ConfigDict
from reknit.encoders.huggingface.loading import HuggingFaceEncoder, native_config
from reknit.encoders.spec import EncoderSpec
from reknit.errors import ReknitError
from reknit.ranges import FractionBelowOne, PositiveInt

CHANNELS = 3


@dataclass(frozen=True)
class PictureEncoderSpec(EncoderSpec):
    """A vision transformer (ViT, Dosovitskiy et al. 2021), in the form that transformers has it."""

    dim: PositiveInt = 128
    """Width of the hidden states and of the vectors, in dimensions; a multiple of heads."""
    depth: PositiveInt = 6
    """Number of transformer layers."""
    heads: PositiveInt = 4
    """Attention heads of each layer, which divide its width among them."""
    intermediate: PositiveInt = 512
    """Width of the feed-forward network of each layer, in dimensions."""
    picture: PositiveInt = 64
    """Pixels of a side that pictures are scaled and cut to; a multiple of patch."""
    patch: PositiveInt = 8
    """Pixels of a side of a patch."""
    dropout: FractionBelowOne = 0.0
    """Probability that an activation or attention weight of the encoder is set to 0 in training."""
    pooling: Literal["cls", "mean"] = "mean"
    """How the vector of a picture is made of its states: that of the opening row ("cls"), or the mean of all."""

    def build(self, vocabulary_size: int = PICTURE_VOCABULARY.size, *, pad: int = -1) -> HuggingFaceEncoder:
        encoder = HuggingFaceEncoder(self._source())
        # Unused by reknit, but without a pooler transformers warns that weights are missing.
        encoder.passengers = {"pooler.dense.weight": torch.eye(self.dim), "pooler.dense.bias": torch.zeros(self.dim)}
        return encoder

    def check(self, setting: str = "encoder") -> None:
        if self.picture % self.patch:
            raise ReknitError(
                f"{setting}.picture is {self.picture} pixels, which patches of {self.patch} do not fill: set one to a "
                "multiple of the other"
            )
        native_config(self._source())

    def _source(self) -> ConfigDict:
        """config.json of the fresh encoder."""
        return {
            "architectures": ["ViTModel"],
            "model_type": "vit",
            "attention_probs_dropout_prob": self.dropout,
            "encoder_stride": self.patch,
            "hidden_act": "gelu",
            "hidden_dropout_prob": self.dropout,
            "hidden_size": self.dim,
            "image_size": self.picture,
            "initializer_range": 0.02,
            "intermediate_size": self.intermediate,
            "layer_norm_eps": 1e-6,
            "num_attention_heads": self.heads,
            "num_channels": CHANNELS,
            "num_hidden_layers": self.depth,
            "patch_size": self.patch,
            "qkv_bias": True,
        }
