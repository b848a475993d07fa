"""The encoder protocol: the only part of a trained system that is ever exported."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor, nn

from reknit.data.batch import View
from reknit.errors import ReknitError


@dataclass(frozen=True)
class Encoded:
    """Hidden states of one view.

    states: {layer: [K, dim]}; layer 0 is the embedding output, layer `depth` the final output (after the final norm
        where the architecture has one).
    cu_seqlens: [N + 1] int64 offsets of the sequences on the K axis (K = T unless the view kept only some positions,
        or the encoder's stem gave fewer rows than it got).
    positions: [K] int64, place of each row in its own original sequence.
    depth: number of layers of the encoder.
    pooler: the encoder's trained pooling, where it has one.
    owner: [T] int64, the row of the K axis that each of the view's rows went into, where a stem gave fewer; else None.
    """

    states: dict[int, Tensor]
    cu_seqlens: Tensor
    positions: Tensor
    depth: int
    pooler: Pooler | None = None
    owner: Tensor | None = None

    @property
    def last(self) -> Tensor:
        """[K, dim] output of the deepest layer asked for."""
        return self.states[max(self.states)]


class Pooler(nn.Module, ABC):
    """A pooling with weights of its own, which an encoder carries (`encoders/trained_pooling.py`).

    kind: the name of its pooling mode. reads_all_layers: whether it needs the states of every layer, not of the last
    alone.
    """

    kind: str

    @property
    @abstractmethod
    def reads_all_layers(self) -> bool: ...

    @abstractmethod
    def forward(self, hidden: Mapping[int, Tensor], cu_seqlens: Tensor) -> Tensor:
        """{layer: [K, dim]} and [N + 1] offsets -> [N, dim] float32 at least; zeros for a sequence without tokens."""

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Write settings and weights to the folder; it must exist."""


class Encoder(nn.Module, ABC):
    """A view in, one hidden state per row out.

    dim: width of the hidden states. depth: number of layers. pooler: a trained pooling, trained and saved with the
    encoder (`encoders/trained_pooling.py`); None in most.
    """

    dim: int
    depth: int

    def __init__(self) -> None:
        super().__init__()
        self.pooler: Pooler | None = None

    @abstractmethod
    def forward(self, view: View, layers: Sequence[int] | None = None) -> Encoded:
        """Encode a view. `layers` names the hidden layers to return (0 to depth); None means the last one.

        Layers above the deepest one asked for are not computed.
        """


class TokenEncoder(Encoder):
    """An encoder of tokens that has a vector for each of its vocabulary.

    table: [vocabulary, dim], for heads that tie to it. `embed` gives the input embeddings alone, without blocks.
    """

    @property
    @abstractmethod
    def table(self) -> nn.Parameter: ...

    @abstractmethod
    def embed(self, tokens: Tensor, positions: Tensor) -> Tensor:
        """[T] tokens and [T] places in their sequences -> [T, dim] input of the first block."""


def token_encoder(encoder: Encoder) -> TokenEncoder:
    """The encoder as one of tokens. Raises ReknitError where it is none."""
    if not isinstance(encoder, TokenEncoder):
        raise ReknitError("this encoder reads no tokens, so recipes that predict tokens cannot train it")
    return encoder
