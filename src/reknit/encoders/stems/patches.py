"""The stem of pictures: a patch's numbers, projected."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from reknit.data.batch import View
from reknit.data.images.patches import KIND
from reknit.encoders.stems.base import LookUp, Rows, Stem
from reknit.errors import ReknitError


class PatchStem(Stem):
    """Tokens by the table, and patches by a linear projection of their values (ViT, Dosovitskiy et al. 2021).

    A masked patch is one learnt vector, whatever it holds (SimMIM, Xie et al. 2022: drawn with a deviation of .02).

    values: numbers that a patch has. dim: width of the encoder.
    """

    def __init__(self, values: int, dim: int) -> None:
        super().__init__()
        self.projection = nn.Linear(values, dim)
        self.mask = nn.Parameter(torch.empty(dim))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the vector of masked patches from torch's global generator."""
        nn.init.normal_(self.mask, std=0.02)

    def forward(self, view: View, look_up: LookUp) -> Rows:
        vectors = look_up(view.tokens)
        if view.signal is not None:
            vectors = vectors.index_copy(0, view.signal.at, self._patches(view).to(vectors.dtype))
        return Rows.of_each(view, vectors)

    def _patches(self, view: View) -> Tensor:
        """[P, dim], the vectors of the view's patches."""
        assert view.signal is not None
        values, width = view.signal.values, self.projection.in_features
        if view.signal.kind != KIND or values.shape[1] != width:
            raise ReknitError(
                f"this encoder reads patches of {width} numbers, and the batch has rows of kind {view.signal.kind!r} "
                f"with {values.shape[1]}: cut the pictures into patches as for its training"
            )
        seen = self.projection(values)
        return torch.where(view.masked[view.signal.at, None], self.mask.to(seen.dtype), seen)
