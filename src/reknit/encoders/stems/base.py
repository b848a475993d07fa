"""What turns the rows of a view into vectors, before the first block."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from reknit.data.batch import View, positions_of

LookUp = Callable[[Tensor], Tensor]
"""[n] ids -> [n, dim], the encoder's own table."""


@dataclass(frozen=True)
class Rows:
    """Vectors for the rows of a view, or for fewer.

    vectors: [K, dim]. cu_seqlens: [N + 1] int64 offsets of the sequences on the K axis. positions: [K] int64, place of
    each vector in its own sequence. owner: [T] int64 ascending, the vector that each of the view's rows went into; each
    vector owns one row at least, of its own sequence. None where K = T and each row has its own.
    """

    vectors: Tensor
    cu_seqlens: Tensor
    positions: Tensor
    owner: Tensor | None = None

    @staticmethod
    def of_each(view: View, vectors: Tensor) -> Rows:
        """A vector for every row of the view."""
        return Rows(vectors, view.cu_seqlens, positions_of(view.cu_seqlens))

    @property
    def first_rows(self) -> Tensor | None:
        """[K] int64, the first of the view's rows that each vector owns; None where each has one."""
        if self.owner is None:
            return None
        opens = torch.ones_like(self.owner, dtype=torch.bool)
        opens[1:] = self.owner[1:] != self.owner[:-1]
        return opens.nonzero().squeeze(1)

    def any_of(self, rows: Tensor) -> Tensor:
        """[T] bool of the view's rows -> [K] bool, whether it is true of any row that a vector owns."""
        if self.owner is None:
            return rows
        return torch.zeros_like(rows[: len(self.vectors)]).index_put((self.owner[rows],), rows.new_ones(()))


class Stem(nn.Module, ABC):
    """Rows in, vectors out: tokens by a table, patches by a projection, bytes pooled to words.

    The table is the encoder's, because heads tie to it and checkpoints know it there; a stem's own weights are whatever
    else it needs. Positions, token types and norms come after it, and are the encoder's too.
    """

    @abstractmethod
    def forward(self, view: View, look_up: LookUp) -> Rows:
        """The vectors of a view. A row that the view masks must not show what it holds.

        Raises ReknitError for rows of a kind that the stem cannot read.
        """

    def reset_parameters(self) -> None:
        """Draw the stem's own weights from torch's global generator, where they are not drawn as the encoder's are."""
