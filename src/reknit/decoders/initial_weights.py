"""Initial weights and limits that the training-only parts have in common."""

from __future__ import annotations

from collections.abc import Iterable

from torch import Tensor, nn

from reknit.errors import ReknitError


def draw_like_bert(modules: Iterable[nn.Module]) -> None:
    """Draw matrices and tables with deviation 0.02 from torch's global generator, biases 0 (Devlin et al. 2019).

    In the order given; what is neither a linear layer nor a table is left as it is.
    """
    for module in modules:
        if isinstance(module, nn.Linear | nn.Embedding):
            nn.init.normal_(module.weight, std=0.02)
        if isinstance(module, nn.Linear):
            nn.init.zeros_(module.bias)


def check_heads(heads: int, dim: int) -> None:
    """Raise ReknitError when a decoder's attention heads do not divide its width."""
    if dim % heads:
        raise ReknitError(f"the decoder's heads ({heads}) do not divide the encoder's width ({dim})")


def check_fits(cu_seqlens: Tensor, positions: nn.Embedding, whose: str) -> None:
    """Raise ReknitError when a sequence is longer than the position table of `whose` part."""
    longest = int(cu_seqlens.diff().max()) if cu_seqlens.numel() > 1 else 0
    if longest > positions.num_embeddings:
        raise ReknitError(
            f"a sequence of {longest} tokens is longer than the {whose}'s {positions.num_embeddings} "
            "positions; raise objective.max_positions or lower data.max_length"
        )
