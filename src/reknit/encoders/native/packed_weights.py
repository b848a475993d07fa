"""The same encoder for inference in bfloat16 on a processor: weights converted and packed once, activations fused."""

from __future__ import annotations

import copy
from typing import cast

import torch
from torch import Tensor, nn

from reknit.encoders.native.block import TransformerBlock
from reknit.encoders.native.encoder import NativeEncoder


class PackedLinear(nn.Module):
    """A bfloat16 linear layer whose weight is kept in the layout of oneDNN's matrix product, with a fused activation.

    Not for training. torch converts and repacks a plain weight at every call; for one short query that is most of the
    work.
    """

    def __init__(self, linear: nn.Linear, activation: str = "none") -> None:
        super().__init__()
        weight = linear.weight.detach().to(torch.bfloat16).contiguous()
        self.weight = torch.ops.mkldnn._reorder_linear_weight(weight, None)
        self.bias = None if linear.bias is None else linear.bias.detach().to(torch.bfloat16)
        self.activation = activation

    def forward(self, values: Tensor) -> Tensor:
        """[T, in] bfloat16 -> [T, out] bfloat16."""
        algorithm = "none" if self.activation == "gelu" else ""
        product: Tensor = torch.ops.mkldnn._linear_pointwise(
            values, self.weight, self.bias, self.activation, [], algorithm
        )
        return product


class _ToBfloat16(nn.Module):
    def forward(self, values: Tensor) -> Tensor:
        return values.to(torch.bfloat16)


def can_be_packed(encoder: nn.Module) -> bool:
    """Whether `packed_for_inference` takes this encoder on this machine."""
    on_cpu = next(encoder.parameters()).device.type == "cpu"
    packs = hasattr(torch.ops.mkldnn, "_linear_pointwise") and torch.ops.mkldnn._is_mkldnn_bf16_supported()
    return isinstance(encoder, NativeEncoder) and on_cpu and packs


def packed_for_inference(encoder: NativeEncoder) -> NativeEncoder:
    """A copy that computes in bfloat16 from the embeddings' norm on; it shares the embedding tables with `encoder`.

    Later changes of the encoder's weights do not reach the copy; see `WeightsWatch`.
    """
    shared = [getattr(encoder, name, None) for name in ("tokens", "position_table", "token_types")]
    # deepcopy takes what its memo holds for copied already.
    twin = copy.deepcopy(encoder, {id(table): table for table in shared if table is not None}).eval()
    twin.embedding_norm = cast(nn.LayerNorm, nn.Sequential(twin.embedding_norm, _ToBfloat16()))
    twin.blocks.to(torch.bfloat16)
    for block in twin.blocks:
        cast(TransformerBlock, block).replace_linear_layers(PackedLinear)
    twin.final_norm.to(torch.bfloat16)
    return twin


class WeightsWatch:
    """Tells whether an encoder's weights have changed since the watch was made: an optimiser step, a loaded checkpoint,
    an assignment.

    torch counts writes to a tensor, but its fused optimisers, and writes through `.data`, go past the count. They move
    every element, so one element of each tells. Weights made in inference mode have no count, and cannot be trained.
    """

    def __init__(self, encoder: nn.Module) -> None:
        # Views made once: making them anew for every query would take a tenth of it.
        self._elements = [one.detach()[(-1,) * one.ndim].view(1) for one in encoder.parameters()]
        self._values = torch.cat(self._elements)
        self._written = _written(encoder)

    def changed(self, encoder: nn.Module) -> bool:
        """Whether the weights of `encoder` are others than they were."""
        return _written(encoder) != self._written or not torch.equal(torch.cat(self._elements), self._values)


def _written(encoder: nn.Module) -> list[tuple[int, int | None]]:
    return [(one.data_ptr(), None if one.is_inference() else one._version) for one in encoder.parameters()]
