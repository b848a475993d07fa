"""What one architecture of transformers is to reknit: how its settings and its tensors are named."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from reknit.encoders.native.config import NativeConfig
from reknit.errors import ReknitError

ConfigDict = dict[str, Any]
OWN = "reknit"
"""`model_type` of encoders that transformers has no class for: other mixers than attention."""


@dataclass(frozen=True)
class Family:
    """One architecture of transformers.

    architecture: class name for `architectures` in config.json. token_table: name of the token embedding tensor, by
    which the prefix of a checkpoint ("bert.", "model.", none) is found. depth_key: where config.json has the number of
    layers. reads: what its models read, in the plural. to_config: config.json -> NativeConfig. embeddings and block:
    {native name: hf names}, where several hf tensors stand one below the other in the native one; block names have
    {layer} in them. optional: tensors that a folder need not have; their parameter is 0 then.
    """

    architecture: str
    token_table: str
    depth_key: str
    to_config: Callable[[ConfigDict], NativeConfig]
    embeddings: Mapping[str, tuple[str, ...]]
    block: Mapping[str, tuple[str, ...]]
    optional: frozenset[str] = frozenset()
    reads: ClassVar[str] = "texts"

    def names(self, native: str) -> tuple[str, ...]:
        """The hf tensors of a native parameter such as "blocks.3.up.weight" or "embedding_norm.bias"."""
        module, _, kind = native.rpartition(".")
        if not module.startswith("blocks."):
            return tuple(f"{name}.{kind}" for name in self.embeddings[module])
        _, layer, part = module.split(".", 2)
        return tuple(f"{name.format(layer=layer)}.{kind}" for name in self.block[part])

    def native_value(self, native: str, parts: list[Tensor]) -> Tensor:
        """A native parameter, of its hf tensors in the order of `names`."""
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def hf_values(self, native: str, value: Tensor, source: ConfigDict) -> dict[str, Tensor]:
        """The hf tensors of a native parameter. source: config.json."""
        names = self.names(native)
        return dict(zip(names, value.chunk(len(names)), strict=True))


@dataclass(frozen=True)
class OwnFamily(Family):
    """Encoders that reknit alone computes; their tensors have the names that they have here."""

    def names(self, native: str) -> tuple[str, ...]:
        return (native,)


def number(raw: ConfigDict, name: str, default: Any = None) -> Any:
    """A number of config.json. Raises ReknitError for anything else, and where there is none and no default."""
    value = raw.get(name)
    value = default if value is None else value
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ReknitError(f"config.json: {name!r} must be a number, found {value!r}; the file is broken or incomplete")
    return value
