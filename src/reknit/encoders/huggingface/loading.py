"""Encoders from Hugging Face folders and hub ids, and native weights back in Hugging Face's form."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from reknit.encoders.base import TokenEncoder
from reknit.encoders.huggingface.families import FAMILIES, family_of
from reknit.encoders.huggingface.family import OWN, ConfigDict, Family
from reknit.encoders.model_files import local_folder, read_json, read_weights
from reknit.encoders.native.config import NativeConfig
from reknit.encoders.native.encoder import NativeEncoder
from reknit.errors import ReknitError


class HuggingFaceEncoder(NativeEncoder):
    """A `NativeEncoder` that remembers the config.json it came from, and any tensors that only heads use.

    source: config.json as read. passengers: {hf name: tensor} of the base model that the native encoder does not
    compute with (BERT's pooler); they are written back unchanged so that the folder stays complete.
    """

    def __init__(self, source: ConfigDict, passengers: dict[str, Tensor] | None = None) -> None:
        super().__init__(native_config(source))
        self.source = source
        self.passengers = passengers or {}

    @property
    def only_here(self) -> str:
        """Why no other library can run this encoder, in one sentence; empty where they can."""
        if self.source.get("model_type") != OWN:
            return ""
        return f"Only reknit runs this model: its blocks mix tokens by {self.config.mixer}, not by attention."


def native_config(source: ConfigDict) -> NativeConfig:
    """The shape that a config.json describes. Raises ReknitError for another family and a shape that does not fit
    together."""
    return _native_family(source).to_config(source)


def load_encoder(path_or_id: str | Path) -> TokenEncoder:
    """The encoder of a local folder or hub id: native for the families of `FAMILIES`, else an `AutoModelEncoder`.

    Only safetensors weights are read, never a pickle and never remote code; every weight becomes float32. The encoder
    comes in evaluation mode (no dropout), as from transformers; `train()` changes that. Raises ReknitError, with its
    own line each, for a missing folder, config.json or weights, pickle-only weights, damaged files, missing or
    misshapen tensors and unknown architectures.
    """
    folder = local_folder(path_or_id)
    source = read_json(folder / "config.json")
    model_type = source.get("model_type")
    if not isinstance(model_type, str):
        raise ReknitError(f"{folder}/config.json names no model_type; this is not a transformers model")
    if family_of(model_type) is None:
        from reknit.encoders.huggingface.automodel import AutoModelEncoder

        print(
            f"warning: {model_type} models have no native encoder here; running through transformers, which is slower",
            file=sys.stderr,
        )
        return AutoModelEncoder.load(folder, source)
    weights = read_weights(folder)
    return _native_from_weights(source, weights, folder)


def native_state_to_hf(encoder: NativeEncoder, layers: int | None = None) -> tuple[ConfigDict, dict[str, Tensor]]:
    """config.json and tensors with which `transformers.AutoModel` gives the same hidden states as `encoder`.

    layers: keep only the first `layers` layers. Every field of the original config.json stays, except the number of
    layers, the vocabulary size, the class name and the dtype (float32). Raises ReknitError for an encoder that has no
    Hugging Face form, or `layers` outside 1 .. depth.
    """
    if not isinstance(encoder, HuggingFaceEncoder):
        raise ReknitError("this encoder was not built or loaded in a Hugging Face family; it cannot be saved as one")
    depth = encoder.depth if layers is None else layers
    if not 1 <= depth <= encoder.depth:
        raise ReknitError(
            f"cannot keep {depth} layers of an encoder that has {encoder.depth}; use 1 to {encoder.depth}"
        )
    family = _native_family(encoder.source)
    config = {name: value for name, value in encoder.source.items() if name not in ("auto_map", "torch_dtype")}
    config |= {"architectures": [family.architecture], family.depth_key: depth, "dtype": "float32"}
    if "vocab_size" in config:
        config["vocab_size"] = encoder.table.shape[0]
    if config.get("layer_types"):
        config["layer_types"] = config["layer_types"][:depth]
    tensors = {name: tensor.clone() for name, tensor in encoder.passengers.items()}
    for native, value in encoder.state_dict().items():
        if native.startswith("blocks.") and int(native.split(".")[1]) >= depth:
            continue
        if native.startswith("pooler."):  # no part of the plain model
            continue
        for name, part in family.hf_values(native, value.detach().float().cpu(), encoder.source).items():
            tensors[name] = part.clone()
    return config, tensors


def _native_family(source: ConfigDict) -> Family:
    family = family_of(source.get("model_type", ""))
    if family is None:
        raise ReknitError(f"model_type {source.get('model_type')!r} is not one of {', '.join(FAMILIES)}")
    return family


def _native_from_weights(source: ConfigDict, weights: dict[str, Tensor], folder: Path) -> HuggingFaceEncoder:
    family = _native_family(source)
    # BERT checkpoints converted from TensorFlow name the two halves of a norm gamma and beta.
    weights = {
        re.sub(r"\.beta$", ".bias", re.sub(r"\.gamma$", ".weight", name)): tensor for name, tensor in weights.items()
    }
    prefixes = [name.removesuffix(family.token_table) for name in weights if name.endswith(family.token_table)]
    if not prefixes:
        raise ReknitError(f"{folder}: no tensor {family.token_table}; the weights are not a {family.architecture}")
    prefix = min(prefixes, key=len)
    base = {name.removeprefix(prefix): tensor for name, tensor in weights.items() if name.startswith(prefix)}
    with torch.device("meta"), _Undrawn():
        encoder = HuggingFaceEncoder(source)
    state: dict[str, Tensor] = {}
    for native, expected in encoder.state_dict().items():
        names = family.names(native)
        if names[0] not in base and names[0] in family.optional:
            state[native] = torch.zeros(expected.shape)
            continue
        value = family.native_value(native, [_take(base, name, folder).float() for name in names])
        if value.shape != expected.shape:
            raise ReknitError(
                f"{folder}: {names[0]} gives shape {list(value.shape)} where config.json asks for "
                f"{list(expected.shape)}; weights and config.json do not belong together"
            )
        state[native] = value.contiguous()
    encoder.load_state_dict(state, assign=True)
    for parameter in encoder.parameters():
        parameter.requires_grad_(True)
    encoder.passengers = {
        name: tensor.float() for name, tensor in base.items() if name in ("pooler.dense.weight", "pooler.dense.bias")
    }
    return encoder.eval()


class _Undrawn(TorchFunctionMode):
    """Modules made within keep their weights as they are: drawing without storage makes torch import its compiler,
    which takes a second."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        given = kwargs or {}
        if getattr(func, "__module__", None) == "torch.nn.init":
            return args[0] if args else given["tensor"]
        return func(*args, **given)


def _take(weights: dict[str, Tensor], name: str, folder: Path) -> Tensor:
    if name not in weights:
        raise ReknitError(
            f"{folder}: the weights have no tensor {name}; weights and config.json do not belong together"
        )
    return weights[name]
