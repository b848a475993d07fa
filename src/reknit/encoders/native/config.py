"""The shape of a native encoder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch.nn.functional as F
from torch import Tensor

from reknit.errors import ReknitError


def _gelu_tanh(values: Tensor) -> Tensor:
    return F.gelu(values, approximate="tanh")


ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "gelu": F.gelu,
    "gelu_new": _gelu_tanh,
    "gelu_pytorch_tanh": _gelu_tanh,
    "relu": F.relu,
    "silu": F.silu,
    "swish": F.silu,
}


@dataclass(frozen=True)
class NativeConfig:
    """The shape of a `NativeEncoder`.

    pre_norm: norm before each sublayer and one at the end (ModernBERT, ViT), otherwise after each sublayer (BERT).
    embedding_norm: the embeddings are normed, and of a pre-norm encoder's first sublayer they are not again (ViT: not).
    gated: the feed-forward network multiplies two halves (GeGLU, Shazeer 2020).
    position_offset: row of the position table that place 0 uses (RoBERTa: 2).
    token_types: rows of BERT's segment table, of which row 0 is added to every token; 0 means that there is none.
    windows: per layer, how far a token sees on either side; None means the whole sequence.
    causal: a token sees itself and what came before, whatever a view allows besides (BERT as a decoder).
    rope_thetas: per layer, the base of the rotary embedding (Su et al. 2021); empty means a learned position table.
    patch_values: numbers of a patch, for an encoder that reads pictures (`encoders/stems/patches.py`); else 0.
    mixer: what the blocks mix rows with, by its name (`encoders/mixers/named.py`).
    """

    vocabulary: int
    dim: int
    depth: int
    heads: int
    intermediate: int
    max_positions: int
    activation: str = "gelu"
    dropout: float = 0.1
    attention_dropout: float = 0.1
    norm_epsilon: float = 1e-12
    initializer_range: float = 0.02
    pre_norm: bool = False
    embedding_norm: bool = True
    gated: bool = False
    position_offset: int = 0
    token_types: int = 2
    causal: bool = False
    windows: tuple[int | None, ...] = ()
    rope_thetas: tuple[float, ...] = ()
    attention_bias: bool = True
    feed_forward_bias: bool = True
    norm_bias: bool = True
    patch_values: int = 0
    mixer: str = "attention"

    def __post_init__(self) -> None:
        if self.dim % self.heads:
            raise ReknitError(f"the width {self.dim} is not a multiple of the number of heads {self.heads}")
        if self.activation not in ACTIVATIONS:
            raise ReknitError(f"activation {self.activation!r} is not supported; use one of {', '.join(ACTIVATIONS)}")
        if self.rope_thetas and (self.dim // self.heads) % 2:
            raise ReknitError(f"rotary embeddings need an even head width, not {self.dim // self.heads}")
        for name in ("windows", "rope_thetas"):
            if len(getattr(self, name)) not in (0, self.depth):
                raise ReknitError(f"{name} must be given for each of the {self.depth} layers or not at all")

    def cut(self, depth: int) -> NativeConfig:
        """The same shape with the first `depth` layers only."""
        return replace(self, depth=depth, windows=self.windows[:depth], rope_thetas=self.rope_thetas[:depth])


def default_heads(dim: int) -> int:
    """The number of heads nearest to 64 dimensions a head (BERT's width) that divides `dim`."""
    return next(heads for heads in range(max(1, dim // 64), 0, -1) if dim % heads == 0)
