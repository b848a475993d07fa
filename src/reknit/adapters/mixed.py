"""Several adapters as one: the mix-and-match adapter (MAM) of He et al. 2021, https://arxiv.org/abs/2110.04366."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, cast

from torch import nn
from torch.utils.hooks import RemovableHandle

from reknit.adapters.base import Adapter, AdapterSpec
from reknit.adapters.bottleneck import ParallelSpec
from reknit.adapters.prefix import PrefixSpec
from reknit.encoders.native.encoder import NativeEncoder


@dataclass(frozen=True)
class MixAndMatchSpec(AdapterSpec):
    """The mix-and-match adapter: a prefix for the attention, a parallel adapter for the feed-forward network."""

    kind: ClassVar[str] = "mam"
    learning_rate: ClassVar[float] = 3e-4

    prefix: PrefixSpec = field(default_factory=PrefixSpec)
    """The prefix of each block's attention."""
    parallel: ParallelSpec = field(default_factory=ParallelSpec)
    """The bottleneck beside each block's feed-forward network."""

    def build(self, encoder: NativeEncoder) -> MixedAdapter:
        return MixedAdapter({"prefix": self.prefix.build(encoder), "parallel": self.parallel.build(encoder)})


class MixedAdapter(Adapter):
    """parts: attached in this order; each works on what the ones before it have changed."""

    def __init__(self, parts: Mapping[str, Adapter]) -> None:
        super().__init__()
        self.parts = nn.ModuleDict(parts)
        self.rows = sum(part.rows for part in self._adapters())
        self.changes_at_start = "; ".join(filter(None, (part.changes_at_start for part in self._adapters())))
        self.cannot_merge = "; ".join(filter(None, (part.cannot_merge for part in self._adapters())))

    def attach(self, encoder: NativeEncoder) -> list[RemovableHandle]:
        return [handle for part in self._adapters() for handle in part.attach(encoder)]

    def _adapters(self) -> list[Adapter]:
        return [cast(Adapter, part) for part in self.parts.values()]
