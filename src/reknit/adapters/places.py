"""Named places of a native encoder, found from outside: the linear layers of its blocks, and all that has a bias."""

from __future__ import annotations

from torch import nn

from reknit.encoders.native.encoder import NativeEncoder
from reknit.errors import ReknitError


def linears(encoder: NativeEncoder, name: str) -> list[nn.Linear]:
    """The linear layer of that name ("query_key_value", "attention_output", "up" or "down") in each block, first block
    first.

    Raises ReknitError when a block has none, as one that mixes its rows by something else than attention.
    """
    found = []
    for number, block in enumerate(encoder.blocks):
        inside = [module for path, module in block.named_modules() if path.rpartition(".")[2] == name]
        if len(inside) != 1 or not isinstance(inside[0], nn.Linear):
            raise ReknitError(f"block {number} of this encoder has no linear layer {name}, which the adapter works on")
        found.append(inside[0])
    return found


def query_key_values(encoder: NativeEncoder) -> list[nn.Linear]:
    """The projection to query, key and value of each block.

    Raises ReknitError when a block projects to something else: its rows are mixed by another means than attention.
    """
    found = linears(encoder, "query_key_value")
    for number, linear in enumerate(found):
        if linear.out_features != 3 * linear.in_features:
            raise ReknitError(
                f"block {number} of this encoder has no queries, keys and values, which the adapter works on: take one "
                "that works elsewhere (bitfit, bottleneck, parallel, prompt)"
            )
    return found


def biased(encoder: NativeEncoder) -> dict[str, nn.Linear | nn.LayerNorm]:
    """{path: module} of every linear layer and norm with a bias, a trained pooling's left out."""
    return {
        path: module
        for path, module in encoder.named_modules()
        if isinstance(module, nn.Linear | nn.LayerNorm) and module.bias is not None and not path.startswith("pooler.")
    }
