"""The mixers by the names that settings and config.json give them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, Literal

from reknit.encoders.mixers.attention import SelfAttention
from reknit.encoders.mixers.base import Mixer
from reknit.encoders.mixers.gated_linear import GatedLinear
from reknit.errors import ReknitError
from reknit.part import Part

MixerName = Literal["attention", "gla", "retention", "linear"]

_MIXERS: Mapping[str, Callable[[int, int, int, float], Mixer]] = {
    "attention": SelfAttention,
    "gla": GatedLinear,
    "retention": partial(GatedLinear, decay="fixed"),
    "linear": partial(GatedLinear, decay="none"),
}


@dataclass(frozen=True)
class MixerPart(Part):
    """A mixer of the catalogue: a setting of the encoder that a run builds."""

    role: ClassVar[str] = "mixer"
    verb: ClassVar[str] = "pretrain"

    mixer: MixerName = "attention"
    """What each layer mixes the tokens with."""

    def usage(self, name: str) -> str:
        return f"reknit pretrain clm --corpus CORPUS --out RUN --set pretrain.encoder.mixer={self.mixer}"


def named_mixer(name: str, dim: int, heads: int, layer: int = 0, dropout: float = 0.0) -> Mixer:
    """The mixer of one block; see `Mixer`. Raises ReknitError for an unknown name and a shape that it does not fit."""
    if name not in _MIXERS:
        raise ReknitError(f"there is no mixer {name!r}; use one of {', '.join(_MIXERS)}")
    return _MIXERS[name](dim, heads, layer, dropout)
