"""Vision transformers as transformers has them (`transformers.models.vit`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from reknit.data.images.patches import PICTURE_VOCABULARY
from reknit.encoders.huggingface.family import ConfigDict, Family, number
from reknit.encoders.native.config import NativeConfig
from reknit.errors import ReknitError


@dataclass(frozen=True)
class PictureFamily(Family):
    """ViT, whose tensors outside of its blocks have other shapes in transformers."""

    reads: ClassVar[str] = "pictures"

    def names(self, native: str) -> tuple[str, ...]:
        whole = {
            "tokens.weight": "embeddings.cls_token",
            "position_table.weight": "embeddings.position_embeddings",
            "stem.mask": "embeddings.mask_token",
        }
        return (whole[native],) if native in whole else super().names(native)

    def native_value(self, native: str, parts: list[Tensor]) -> Tensor:
        value = super().native_value(native, parts)
        if native == "tokens.weight":  # the row of patches is never looked at
            return torch.cat((value.flatten(0, 1), torch.zeros_like(value[0])))
        if native == "position_table.weight":
            return value[0]
        if native == "stem.mask":
            return value.flatten()
        return value.flatten(1) if native == "stem.projection.weight" else value

    def hf_values(self, native: str, value: Tensor, source: ConfigDict) -> dict[str, Tensor]:
        if native == "tokens.weight":
            value = value[None, :1]
        elif native == "position_table.weight":
            value = value[None]
        elif native == "stem.mask":
            value = value[None, None]
        elif native == "stem.projection.weight":
            value = value.unflatten(1, (-1, source["patch_size"], source["patch_size"]))
        return super().hf_values(native, value, source)


def _vit(raw: ConfigDict) -> NativeConfig:
    if not raw.get("qkv_bias", True):
        raise ReknitError("config.json: a ViT without qkv_bias is not supported")
    size, patch = (_side(raw, name) for name in ("image_size", "patch_size"))
    if patch < 1 or size % patch:
        raise ReknitError(f"config.json: patches of {patch} pixels do not fill pictures of {size}; the file is broken")
    return NativeConfig(
        vocabulary=PICTURE_VOCABULARY.size,
        dim=number(raw, "hidden_size", 768),
        depth=number(raw, "num_hidden_layers", 12),
        heads=number(raw, "num_attention_heads", 12),
        intermediate=number(raw, "intermediate_size", 3072),
        max_positions=1 + (size // patch) ** 2,
        activation=raw.get("hidden_act") or "gelu",
        dropout=number(raw, "hidden_dropout_prob", 0.0),
        attention_dropout=number(raw, "attention_probs_dropout_prob", 0.0),
        norm_epsilon=number(raw, "layer_norm_eps", 1e-12),
        initializer_range=number(raw, "initializer_range", 0.02),
        pre_norm=True,
        embedding_norm=False,
        token_types=0,
        patch_values=number(raw, "num_channels", 3) * patch**2,
    )


def _side(raw: ConfigDict, name: str) -> int:
    """Pixels of a side of a square, which older files give twice."""
    value = raw.get(name)
    if isinstance(value, list):
        if len(set(value)) != 1:
            raise ReknitError(f"config.json: {name} is {value}; only squares are supported")
        value = value[0]
    return int(number({name: value}, name))


_VIT_LAYER = "encoder.layer.{layer}"
VIT_FAMILY = PictureFamily(
    architecture="ViTModel",
    token_table="embeddings.cls_token",
    depth_key="num_hidden_layers",
    to_config=_vit,
    embeddings={"stem.projection": ("embeddings.patch_embeddings.projection",), "final_norm": ("layernorm",)},
    block={
        "query_key_value": tuple(f"{_VIT_LAYER}.attention.attention.{part}" for part in ("query", "key", "value")),
        "attention_output": (f"{_VIT_LAYER}.attention.output.dense",),
        "attention_norm": (f"{_VIT_LAYER}.layernorm_before",),
        "up": (f"{_VIT_LAYER}.intermediate.dense",),
        "down": (f"{_VIT_LAYER}.output.dense",),
        "feed_forward_norm": (f"{_VIT_LAYER}.layernorm_after",),
    },
    # What was trained without masks has no vector for them.
    optional=frozenset({"embeddings.mask_token"}),
)
