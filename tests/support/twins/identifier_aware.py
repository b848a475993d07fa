"""CodeT5's three tasks, of which one asks whether a token belongs to an identifier."""

from __future__ import annotations

from reknit.data.batch import Batch, View
from twins.base import ReconstructionTwin


class IdentifierTwin(ReconstructionTwin):
    def labels(self, name: str, batch: Batch, seen: View, places: list[int]) -> list[bool]:
        return [int(batch.tagged[place]) != -1 for place in places]


TWIN = IdentifierTwin()
