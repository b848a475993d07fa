"""The stem of texts."""

from __future__ import annotations

from reknit.data.batch import View
from reknit.encoders.stems.base import LookUp, Rows, Stem
from reknit.errors import ReknitError


class TokenStem(Stem):
    """The row of the table that belongs to each token."""

    def forward(self, view: View, look_up: LookUp) -> Rows:
        if view.signal is not None:
            raise ReknitError(f"this encoder reads only tokens, and the batch has rows of kind {view.signal.kind!r}")
        return Rows.of_each(view, look_up(view.tokens))
