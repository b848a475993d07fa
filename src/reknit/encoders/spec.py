"""The settings of an encoder that is built from scratch, and how it is built."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Literal

import torch

from reknit.encoders.base import Encoder
from reknit.encoders.huggingface.family import OWN, ConfigDict
from reknit.encoders.huggingface.loading import HuggingFaceEncoder, native_config
from reknit.encoders.mixers.named import MixerName, named_mixer
from reknit.encoders.native.latent_semantic import LEAST_DIM
from reknit.encoders.pooling_modes import TRAINED_POOLINGS, TrainedPoolingMode
from reknit.encoders.trained_pooling import TrainedPooling
from reknit.errors import ReknitError
from reknit.ranges import FractionBelowOne, NonNegativeInt, PositiveInt
from reknit.tokenizers.training import LEAST_VOCABULARY

LEAST_POSITIONS = 3  # two special tokens and one of the text


@dataclass(frozen=True)
class EncoderSpec(ABC):
    """The encoder that is built when a run starts from scratch; a trained start model keeps its own shape."""

    dim: PositiveInt
    """Width of the hidden states and of the vectors, in dimensions."""
    depth: PositiveInt
    """Number of layers."""
    pooling: str
    """How an exported model makes one vector of the states of a text."""

    @abstractmethod
    def build(self, vocabulary_size: int, *, pad: int = 0) -> Encoder:
        """A fresh encoder, weights drawn from torch's global generator.

        vocabulary_size: rows of its token table. pad: the padding token's id, for config.json. Raises ReknitError for
        settings that do not fit together.
        """

    @abstractmethod
    def check(self, setting: str = "encoder") -> None:
        """Raise ReknitError when `build` would, or the initial weights do not fit the shape; nothing is built.

        setting: what the user calls these settings.
        """


@dataclass(frozen=True)
class TextEncoderSpec(EncoderSpec):
    """The transformer over tokens that is built when a run starts from scratch; a trained start model keeps its own."""

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
    mixer: MixerName = "attention"
    """What each layer mixes the tokens with (`encoders/mixers/`); a model with another mixer than attention runs in
    reknit only.
    """

    def build(self, vocabulary_size: int, *, pad: int = 0) -> HuggingFaceEncoder:
        encoder = HuggingFaceEncoder(self._source(vocabulary_size, pad))
        if self.family == "bert" and self.mixer == "attention":
            # Unused by reknit, but without a pooler transformers warns that weights are missing.
            encoder.passengers = {
                "pooler.dense.weight": torch.eye(self.dim),
                "pooler.dense.bias": torch.zeros(self.dim),
            }
        if self.pooling in TRAINED_POOLINGS:
            # Drawn last, so that the encoder's own weights are the same with every pooling.
            encoder.pooler = TrainedPooling(self.pooling, self.dim, self.depth, self.latents)
        return encoder

    def check(self, setting: str = "encoder") -> None:
        if self.token_table == "latent-semantic":
            if self.pooling != "mean":
                raise ReknitError(
                    f"{setting}.token_table=latent-semantic is for texts that are the mean of their tokens, not "
                    f"{self.pooling}: set {setting}.pooling=mean too"
                )
            if self.dim < LEAST_DIM:
                raise ReknitError(f"{setting}.token_table=latent-semantic needs {setting}.dim={LEAST_DIM} or more")
        for field, value, least in (
            ("vocabulary", self.vocabulary, LEAST_VOCABULARY.get(self.family, 1)),
            ("max_positions", self.max_positions, LEAST_POSITIONS),
        ):
            if value < least:
                raise ReknitError(f"{setting}.{field} is {value}: it must be {least} or more")
        native_config(self._source(vocabulary_size=1, pad=0))
        named_mixer(self.mixer, self.dim, self.heads)

    def _source(self, vocabulary_size: int, pad: int) -> ConfigDict:
        """config.json of the fresh encoder."""
        if self.attention == "causal" and self.family != "bert":
            raise ReknitError(f'encoder.attention="causal" needs encoder.family="bert"; {self.family} looks both ways')
        if self.mixer != "attention":
            return self._own(vocabulary_size, pad)
        if self.family == "bert":
            return self._bert(vocabulary_size, pad)
        if self.family == "modernbert":
            return self._modernbert(vocabulary_size, pad)
        raise ReknitError(f"cannot build a fresh encoder of family {self.family!r}; use 'bert' or 'modernbert'")

    def _own(self, vocabulary_size: int, pad: int) -> ConfigDict:
        if self.family != "bert":
            raise ReknitError(
                f"encoder.mixer={self.mixer} needs encoder.family=bert: the windows and rotary positions of "
                f"{self.family} are those of attention"
            )
        own = {"architectures": ["ReknitEncoder"], "model_type": OWN, "family": self.family, "mixer": self.mixer}
        return self._bert(vocabulary_size, pad) | own

    def _bert(self, vocabulary_size: int, pad: int) -> ConfigDict:
        return {
            "architectures": ["BertModel"],
            "model_type": "bert",
            "attention_probs_dropout_prob": self.dropout,
            "hidden_act": "gelu",
            "hidden_dropout_prob": self.dropout,
            **({"is_decoder": True} if self.attention == "causal" else {}),
            "hidden_size": self.dim,
            "initializer_range": 0.02,
            "intermediate_size": self.intermediate,
            "layer_norm_eps": 1e-12,
            "max_position_embeddings": self.max_positions,
            "num_attention_heads": self.heads,
            "num_hidden_layers": self.depth,
            "pad_token_id": pad,
            "position_embedding_type": "absolute",
            "type_vocab_size": 2,
            "vocab_size": vocabulary_size,
        }

    def _modernbert(self, vocabulary_size: int, pad: int) -> ConfigDict:
        # The settings of transformers 4 (also read by servers written for it) beside those of transformers 5.
        return {
            "architectures": ["ModernBertModel"],
            "model_type": "modernbert",
            "attention_bias": False,
            "attention_dropout": self.dropout,
            "embedding_dropout": self.dropout,
            "global_attn_every_n_layers": 3,
            "global_rope_theta": 160_000.0,
            "hidden_activation": "gelu",
            "hidden_size": self.dim,
            "initializer_range": 0.02,
            "intermediate_size": self.intermediate,
            "local_attention": 128,
            "local_rope_theta": 10_000.0,
            "max_position_embeddings": self.max_positions,
            "mlp_bias": False,
            "mlp_dropout": self.dropout,
            "norm_bias": False,
            "norm_eps": 1e-5,
            "num_attention_heads": self.heads,
            "num_hidden_layers": self.depth,
            "pad_token_id": pad,
            "bos_token_id": None,
            "eos_token_id": None,
            "cls_token_id": None,
            "sep_token_id": None,
            "vocab_size": vocabulary_size,
        }
