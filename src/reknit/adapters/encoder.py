"""A native encoder with an adapter attached."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import cast

from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from reknit.adapters.base import Adapter, AdapterSpec
from reknit.data.batch import View
from reknit.encoders.base import Encoded, Encoder, TokenEncoder
from reknit.encoders.native.encoder import NativeEncoder
from reknit.errors import ReknitError


class AdaptedEncoder(TokenEncoder):
    """Computes what `base` computes with `adapter` in it. The weights of `base` are frozen, and their names, values and
    number stay as they are: `detach` gives it back bit by bit.

    base: not to be used beside this encoder until it is detached, and without another adapter (`attach` sees to that).
    Raises ReknitError where no position is left for a text.
    """

    def __init__(self, base: NativeEncoder, adapter: Adapter) -> None:
        super().__init__()
        if base.max_positions <= adapter.rows:
            raise ReknitError(
                f"the adapter takes {adapter.rows} of the encoder's {base.max_positions} positions and leaves none"
            )
        self.base, self.adapter = base, adapter.to(base.table.device)
        self.dim, self.depth, self.pooler = base.dim, base.depth, base.pooler
        self._trainable = [name for name, parameter in base.named_parameters() if parameter.requires_grad]
        base.requires_grad_(False)
        self._handles: list[RemovableHandle] = adapter.attach(base)
        self.train(base.training)

    @property
    def table(self) -> nn.Parameter:
        """[vocabulary, dim] token embedding table."""
        return self.base.table

    @property
    def max_positions(self) -> int:
        """Longest sequence, in tokens, that the encoder takes."""
        return self.base.max_positions - self.adapter.rows

    @property
    def trained_fraction(self) -> float:
        """The adapter's weights divided by those of the encoder that it is attached to."""
        return self.adapter.trained_weights / sum(parameter.numel() for parameter in self.base.parameters())

    def embed(self, tokens: Tensor, positions: Tensor) -> Tensor:
        """[T] tokens and [T] places in their sequences -> [T, dim] input of the first block."""
        return self.base.embed(tokens, positions + self.adapter.rows)

    def forward(self, view: View, layers: Sequence[int] | None = None) -> Encoded:
        """As `NativeEncoder.forward`."""
        return cast(Encoded, self.base(view, layers))

    def detach(self) -> NativeEncoder:
        """The encoder as it was before; this one cannot be used any more."""
        for handle in self._handles:
            handle.remove()
        self._handles = []
        parameters = dict(self.base.named_parameters())
        for name in self._trainable:
            parameters[name].requires_grad_(True)
        return self.base

    def merged(self) -> NativeEncoder:
        """A copy of the encoder with the adapter's weights in its own. Raises ReknitError where that cannot be."""
        twin = copy.deepcopy(self)
        base = twin.detach()
        twin.adapter.merge_into(base)
        return base


def attach(encoder: Encoder, spec: AdapterSpec) -> AdaptedEncoder:
    """The encoder with a new adapter, its weights drawn from torch's global generator.

    Raises ReknitError for an encoder without named places, and one that has an adapter already.
    """
    return AdaptedEncoder(native(encoder), spec.build(native(encoder)))


def native(encoder: Encoder) -> NativeEncoder:
    """The encoder itself. Raises ReknitError unless an adapter can be attached to it."""
    if isinstance(encoder, AdaptedEncoder):
        raise ReknitError("the model has an adapter already: tune the model without the adapter, or export it first")
    if not isinstance(encoder, NativeEncoder):
        raise ReknitError("adapters need a model that reknit runs itself; this one runs through transformers")
    return encoder
