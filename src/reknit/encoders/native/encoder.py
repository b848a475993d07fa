"""A packed transformer encoder that expresses the BERT, RoBERTa, DistilBERT and ModernBERT families.

Linear layers, norms and activations run on one flat token axis, so no arithmetic is spent on padding.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from reknit.data.attention_rules import AttentionRule, Both, Window, bidirectional, causal
from reknit.data.batch import View
from reknit.encoders.attention.dropout import Dropout
from reknit.encoders.attention.layout import AttentionLayout
from reknit.encoders.attention.rotation import Rotation
from reknit.encoders.base import Encoded, TokenEncoder
from reknit.encoders.mixers.base import Mixer
from reknit.encoders.mixers.named import named_mixer
from reknit.encoders.native.block import TransformerBlock, layer_norm
from reknit.encoders.native.config import NativeConfig
from reknit.encoders.stems.base import Stem
from reknit.encoders.stems.patches import PatchStem
from reknit.encoders.stems.tokens import TokenStem
from reknit.errors import ReknitError

__all__ = ["NativeConfig", "NativeEncoder"]


class NativeEncoder(TokenEncoder):
    """The packed transformer.

    `Encoded.states[l]` for l >= 1 is what this encoder cut to its first l layers would put out: in pre-norm families
    the final norm is applied to it, as it is in an exported model of l layers. Dropout is active in training mode only.
    """

    def __init__(self, config: NativeConfig) -> None:
        super().__init__()
        self.config = config
        self.dim = config.dim
        self.depth = config.depth
        self.tokens = nn.Embedding(config.vocabulary, config.dim)
        self.stem = _stem(config)
        if not config.rope_thetas:
            self.position_table = nn.Embedding(config.max_positions + config.position_offset, config.dim)
        if config.token_types:
            self.token_types = nn.Embedding(config.token_types, config.dim)
        self.embedding_norm = layer_norm(config) if config.embedding_norm else nn.Identity()
        self.embedding_dropout = Dropout(config.dropout)
        self.blocks = nn.ModuleList(_block(config, layer) for layer in range(config.depth))
        self.final_norm = layer_norm(config) if config.pre_norm else nn.Identity()
        self.reset_parameters()

    @property
    def table(self) -> nn.Parameter:
        """[vocabulary, dim] token embedding table."""
        return cast(nn.Parameter, self.tokens.weight)

    @property
    def max_positions(self) -> int:
        """Longest sequence, in tokens, that the encoder takes."""
        return self.config.max_positions

    def reset_parameters(self) -> None:
        """Draw fresh weights from torch's global generator, as each family's authors did (BERT; ModernBERT)."""
        spread = self.config.initializer_range
        for name, module in self.named_modules():
            if isinstance(module, nn.LayerNorm):
                module.reset_parameters()
            elif isinstance(module, nn.Embedding):
                nn.init.normal_(module.weight, std=spread)
            elif isinstance(module, nn.Linear):
                # ModernBERT shrinks what is added to the residual stream by the number of additions.
                into_stream = self.config.pre_norm and name.endswith(("attention_output", "down"))
                scale = spread / math.sqrt(2.0 * self.depth) if into_stream else spread
                nn.init.trunc_normal_(module.weight, std=scale, a=-2 * scale, b=2 * scale)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        for module in self.modules():
            if isinstance(module, Mixer | Stem):
                module.reset_parameters()

    def set_dropout(self, probability: float) -> None:
        """Use one probability for every dropout, attention weights included."""
        for module in self.modules():
            if isinstance(module, Dropout):
                module.probability = probability
            elif isinstance(module, Mixer):
                module.dropout = probability

    def embed(self, tokens: Tensor, positions: Tensor) -> Tensor:
        """[T] tokens and [T] places in their sequences -> [T, dim] input of the first block."""
        return self._placed(self.tokens(tokens), positions)

    def _placed(self, embedded: Tensor, positions: Tensor) -> Tensor:
        """[K, dim] vectors of a stem and [K] places in their sequences -> [K, dim] input of the first block."""
        if not self.config.rope_thetas:
            embedded = embedded + self.position_table(positions + self.config.position_offset)
        if self.config.token_types:
            embedded = embedded + self.token_types.weight[0]
        placed: Tensor = self.embedding_dropout(self.embedding_norm(embedded))
        return placed

    def forward(self, view: View, layers: Sequence[int] | None = None) -> Encoded:
        """Encode a view; see `Encoder.forward` and the class docstring.

        With the last layer come all others where a trained pooling reads them.

        Raises ReknitError for a layer outside 0 .. depth or a sequence longer than the position table.
        """
        wanted = set(layers) if layers is not None else {self.depth}
        if not wanted or min(wanted) < 0 or max(wanted) > self.depth:
            raise ReknitError(f"there are no layers {sorted(wanted)} in an encoder with layers 0 to {self.depth}")
        if self.pooler is not None and self.pooler.reads_all_layers and self.depth in wanted:
            wanted |= set(range(1, self.depth + 1))
        rows = self.stem(view, self.tokens)
        self._check_lengths(rows.cu_seqlens)
        hidden, positions, cu_seqlens = self._placed(rows.vectors, rows.positions), rows.positions, rows.cu_seqlens
        masked, indices = rows.any_of(view.masked), rows.first_rows
        if view.kept is not None:
            if rows.owner is not None:
                raise ReknitError("positions cannot be dropped from an encoder whose stem gives fewer rows than it got")
            hidden, positions, masked, indices = (
                hidden.index_select(0, view.kept),
                positions[view.kept],
                masked[view.kept],
                view.kept,
            )
            cu_seqlens = torch.searchsorted(view.kept, cu_seqlens)
        layout = AttentionLayout.of(cu_seqlens, masked, positions=positions, indices=indices)
        rotations, rules = self._rotations(positions), self._rules(view.attention)
        for block, rule in zip(self.blocks, rules, strict=True):
            cast(TransformerBlock, block).mixer.check_rule(rule)
        collected = {0: hidden} if 0 in wanted else {}
        for number, block in enumerate(self.blocks[: max(wanted)]):
            hidden = block(hidden, layout, rules[number], rotations[number])
            if number + 1 in wanted:
                collected[number + 1] = self.final_norm(hidden)
        return Encoded(collected, cu_seqlens, positions, self.depth, self.pooler, rows.owner)

    def check_rule(self, rule: AttentionRule) -> None:
        """Raise ReknitError where a mixer cannot honour the rule."""
        for block in self.blocks:
            cast(TransformerBlock, block).mixer.check_rule(rule)

    def _rotations(self, positions: Tensor) -> list[Rotation | None]:
        if not self.config.rope_thetas:
            return [None] * self.depth
        head_dim = self.dim // self.config.heads
        by_theta = {theta: Rotation(positions, head_dim, theta) for theta in set(self.config.rope_thetas)}
        return [by_theta[theta] for theta in self.config.rope_thetas]

    def _rules(self, attention: AttentionRule) -> list[AttentionRule]:
        if self.config.causal and attention is not causal:
            attention = causal if attention is bidirectional else Both(causal, attention)
        # One object per distinct rule, because the layout remembers masks by object.
        windows = self.config.windows or (None,) * self.depth
        windowed = {reach: Both(attention, Window(reach)) for reach in set(windows) if reach is not None}
        return [attention if reach is None else windowed[reach] for reach in windows]

    def _check_lengths(self, cu_seqlens: Tensor) -> None:
        longest = int(cu_seqlens.diff().max()) if cu_seqlens.numel() > 1 else 0
        if longest > self.config.max_positions:
            raise ReknitError(
                f"a sequence of {longest} tokens is longer than the model's {self.config.max_positions} positions; "
                f"use a max_length of at most {self.config.max_positions}"
            )


def _block(config: NativeConfig, layer: int) -> TransformerBlock:
    mixer = named_mixer(config.mixer, config.dim, config.heads, layer, config.attention_dropout)
    return TransformerBlock(config, layer, mixer)


def _stem(config: NativeConfig) -> Stem:
    return PatchStem(config.patch_values, config.dim) if config.patch_values else TokenStem()
