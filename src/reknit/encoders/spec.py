"""The settings of an encoder that is built from scratch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from reknit.encoders.pooling_modes import TrainedPoolingMode
from reknit.ranges import FractionBelowOne, NonNegativeInt, PositiveInt


@dataclass(frozen=True)
class EncoderSpec:
    """The encoder that is built when a run starts from scratch; a trained start model keeps its own shape."""

    family: Literal["bert", "modernbert"] = "bert"
    """Architecture: "bert" (post-norm, learned positions) or "modernbert" (pre-norm, rotary positions, GeGLU, every
    third layer global, the others attending to 64 tokens on either side).
    """
    dim: PositiveInt = 256
    """Width of the hidden states and of the vectors, in dimensions; a multiple of heads."""
    depth: PositiveInt = 4
    """Number of transformer layers."""
    heads: PositiveInt = 4
    """Attention heads of each layer, which divide its width among them."""
    intermediate: PositiveInt = 1024
    """Width of the feed-forward network of each layer, in dimensions."""
    max_positions: NonNegativeInt = 512
    """Longest text in tokens that the encoder can read, 3 or more."""
    vocabulary: NonNegativeInt = 16_000
    """Tokens of the tokenizer that is trained on the corpus, at most; 7 or more for "bert", 261 or more for
    "modernbert".
    """
    dropout: FractionBelowOne = 0.1
    """Probability that an activation or attention weight of the encoder is set to 0 in training."""
    pooling: Literal["cls", "mean", "last", TrainedPoolingMode] = "cls"
    """How the vector of a text is made from its token states: the first one ("cls"), their mean, the last one, or an
    attention that is trained with the encoder ("latent-attention", "layer-attention", "token-attention";
    `encoders/trained_pooling.py`).
    """
    latents: PositiveInt = 64
    """Learned vectors of a pooling that is trained; the other poolings have none."""
    attention: Literal["bidirectional", "causal"] = "bidirectional"
    """Direction of attention: "bidirectional", or "causal", where a token attends to itself and to earlier tokens only,
    in training and when the model embeds. A causal encoder is of family "bert" and should pool "last" or "mean".
    """
    token_table: Literal["random", "latent-semantic"] = "random"
    """Initial token embeddings: "random", or "latent-semantic" for a latent semantic analysis of the corpus
    (`encoders/native/latent_semantic.py`), which needs the pooling "mean".
    """
