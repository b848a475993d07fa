"""Prompt tuning: learned rows before each text (Lester et al. 2021, https://arxiv.org/abs/2104.08691)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from reknit.adapters.base import Adapter, AdapterSpec, Handover
from reknit.data.attention_rules import bidirectional, causal
from reknit.data.batch import View, segments_of
from reknit.encoders.base import Encoded
from reknit.encoders.native.encoder import NativeEncoder
from reknit.errors import ReknitError
from reknit.ranges import PositiveInt


@dataclass(frozen=True)
class PromptSpec(AdapterSpec):
    """Prompt tuning: learned rows before each text."""

    kind: ClassVar[str] = "prompt"
    learning_rate: ClassVar[float] = 1e-2

    length: PositiveInt = 8
    """Learned rows; the longest text that the model reads is shorter by as many tokens."""

    def build(self, encoder: NativeEncoder) -> PromptAdapter:
        return PromptAdapter(self, encoder)


class PromptAdapter(Adapter):
    """See `PromptSpec`. The rows begin as those of random tokens, stand in for token embeddings, and are taken out of
    the output again, so that pooling never sees them. A text's tokens keep their learned positions."""

    changes_at_start = "a text's tokens look at the prompt, whatever it holds"
    cannot_merge = "its rows are input, and no weight of the encoder holds input"

    def __init__(self, spec: PromptSpec, encoder: NativeEncoder) -> None:
        super().__init__()
        self.rows = spec.length
        drawn = torch.randint(encoder.table.shape[0], (spec.length,))
        self.prompt = nn.Parameter(encoder.table.detach()[drawn].clone())
        self._first_position = encoder.config.position_offset
        self._is_prompt = Handover()

    def attach(self, encoder: NativeEncoder) -> list[RemovableHandle]:
        handles = [
            encoder.register_forward_pre_hook(self._extend),
            encoder.tokens.register_forward_hook(self._insert),
            encoder.register_forward_hook(self._shorten),
        ]
        if not encoder.config.rope_thetas:
            handles.append(encoder.position_table.register_forward_pre_hook(self._keep_positions))
        return handles

    def _extend(self, module: nn.Module, arguments: tuple[View, ...]) -> tuple[object, ...]:
        """Room for the prompt before each text."""
        view, *rest = arguments
        if view.attention is not bidirectional and view.attention is not causal:
            raise ReknitError(
                "prompt: this recipe restricts attention, and a prompt cannot be put before its texts; choose "
                "another method"
            )
        if view.signal is not None:
            raise ReknitError(
                "prompt: it can only be put before texts, not before pictures or sounds; choose another method"
            )
        sequences = view.cu_seqlens.numel() - 1
        moved = torch.arange(view.tokens.numel(), device=view.tokens.device)
        moved += self.rows * (segments_of(view.cu_seqlens) + 1)
        is_prompt = torch.ones(moved.numel() + self.rows * sequences, dtype=torch.bool, device=moved.device)
        is_prompt[moved] = False
        kept = view.kept
        if kept is not None:
            kept = torch.cat((is_prompt.nonzero().flatten(), moved[kept])).sort().values
        self._is_prompt.leave(is_prompt)
        longer = replace(
            view,
            tokens=_spread(view.tokens, moved, is_prompt),
            targets=_spread(view.targets, moved, is_prompt),
            predict=_spread(view.predict, moved, is_prompt),
            masked=_spread(view.masked, moved, is_prompt),
            cu_seqlens=view.cu_seqlens + self.rows * torch.arange(sequences + 1, device=moved.device),
            kept=kept,
        )
        return (longer, *rest)

    def _insert(self, module: nn.Module, arguments: tuple[Tensor], output: Tensor) -> Tensor:
        """The prompt in place of the embeddings of the rows that were made room for."""
        is_prompt = self._is_prompt.take()
        if is_prompt is None:
            return output
        prompts = self.prompt.to(output.dtype).repeat(int(is_prompt.sum()) // self.rows, 1)
        return output.masked_scatter(is_prompt.unsqueeze(1), prompts)

    def _keep_positions(self, module: nn.Module, arguments: tuple[Tensor]) -> tuple[Tensor]:
        return ((arguments[0] - self.rows).clamp(min=self._first_position),)

    def _shorten(self, module: nn.Module, arguments: tuple[View, ...], encoded: Encoded) -> Encoded:
        """The output without the prompt's rows."""
        of_text = (encoded.positions >= self.rows).nonzero().flatten()
        sequences = torch.arange(encoded.cu_seqlens.numel(), device=of_text.device)
        return replace(
            encoded,
            states={layer: states.index_select(0, of_text) for layer, states in encoded.states.items()},
            cu_seqlens=encoded.cu_seqlens - self.rows * sequences,
            positions=encoded.positions[of_text] - self.rows,
        )


def _spread(values: Tensor, moved: Tensor, is_prompt: Tensor) -> Tensor:
    """The values at their new positions, zeros elsewhere."""
    spread = torch.zeros(is_prompt.shape, dtype=values.dtype, device=values.device)
    spread[moved] = values
    return spread
