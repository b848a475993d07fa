"""C-RTS with clusters of several of a toy's tokens."""

from __future__ import annotations

from types import MappingProxyType

from twins.base import ReconstructionTwin


class ClusterTwin(ReconstructionTwin):
    toy = MappingProxyType({"clusters": 8})


TWIN = ClusterTwin()
