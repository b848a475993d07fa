"""The settings of an encoder that is built from scratch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from reknit.encoders.pooling_modes import TrainedPoolingMode


@dataclass(frozen=True)
class EncoderSpec:
    """The encoder that is built when a run starts from scratch; an existing start model keeps its own shape.

    attention: "causal" for a model that sees what came before only, when it is trained and when it embeds; it should
    pool "last" or "mean". pooling: one of those by name, or a pooling that is trained with the encoder
    (`encoders/trained_pooling.py`), with so many latents. token_table: "latent-semantic" begins with what the corpus's
    words have in common (`encoders/native/latent_semantic.py`); it needs the pooling "mean".
    """

    family: Literal["bert", "modernbert"] = "bert"
    dim: int = 256
    depth: int = 4
    heads: int = 4
    intermediate: int = 1024
    max_positions: int = 512
    vocabulary: int = 16_000
    dropout: float = 0.1
    pooling: Literal["cls", "mean", "last", TrainedPoolingMode] = "cls"
    latents: int = 64
    attention: Literal["bidirectional", "causal"] = "bidirectional"
    token_table: Literal["random", "latent-semantic"] = "random"
