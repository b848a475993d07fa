"""SMITH with blocks so short that most of a toy's texts have several."""

from __future__ import annotations

from types import MappingProxyType

from twins.base import ReconstructionTwin


class BlockTwin(ReconstructionTwin):
    toy = MappingProxyType({"block_tokens": 5})


TWIN = BlockTwin()
