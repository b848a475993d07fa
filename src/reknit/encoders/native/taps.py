"""Named places inside of an encoder whose values a caller can read and replace, without the encoder knowing why.

Of each block: "heads", [K, heads, width], what each head gives before the projection out of the mixer; "mlp_in" and
"mlp_out", [K, dim], what goes into the feed-forward network and what comes out of it; "states", [K, dim], the block's
output (without the final norm of pre-norm families). K rows in packed order, as in `Encoded.states`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any, cast

from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from reknit.encoders.native.block import TapName, TransformerBlock
from reknit.encoders.native.encoder import NativeEncoder
from reknit.errors import ReknitError

__all__ = ["TapName", "Use", "tapped"]

Use = Callable[[Tensor], Tensor | None]
"""Called with the values at a place. What it returns takes their place; None leaves them as they are."""


@contextmanager
def tapped(encoder: NativeEncoder, uses: Mapping[tuple[int, TapName], Use]) -> Iterator[None]:
    """Within, every forward pass of the encoder calls each use with the values at its place.

    uses: by the number of the block, from 0, and the name of the place. Values carry gradients where the pass does.
    Raises ReknitError for a place that the encoder does not have.
    """
    with ExitStack() as stack:
        for (layer, name), use in uses.items():
            if not 0 <= layer < encoder.depth:
                raise ReknitError(f"there is no block {layer}: the encoder has blocks 0 to {encoder.depth - 1}")
            block = cast(TransformerBlock, encoder.blocks[layer])
            if name not in block.taps:
                raise ReknitError(f"a block has no place {name!r}; it has {', '.join(block.taps)}")
            stack.callback(_hook(block, name, use).remove)
        yield


def _hook(block: TransformerBlock, name: TapName, use: Use) -> RemovableHandle:
    module, side = block.taps[name]
    if name == "heads":
        use = _by_head(use, block.mixer.heads)

    def before(_: nn.Module, arguments: tuple[Any, ...]) -> tuple[Any, ...] | None:
        replaced = use(arguments[0])
        return None if replaced is None else (replaced, *arguments[1:])

    def behind(_: nn.Module, __: tuple[Any, ...], values: Tensor) -> Tensor | None:
        return use(values)

    return module.register_forward_pre_hook(before) if side == "in" else module.register_forward_hook(behind)


def _by_head(use: Use, heads: int) -> Use:
    def of_heads(values: Tensor) -> Tensor | None:
        replaced = use(values.unflatten(-1, (heads, -1)))
        return None if replaced is None else replaced.flatten(-2)

    return of_heads
