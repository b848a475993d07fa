"""Any other transformers model as an encoder: padded, slower, and with its own attention pattern only."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from reknit.data.attention_rules import bidirectional
from reknit.data.batch import View, positions_of, segments_of
from reknit.encoders.base import Encoded, TokenEncoder
from reknit.errors import ReknitError
from reknit.jobs.quiet import quiet_libraries


class AutoModelEncoder(TokenEncoder):
    """Wraps a `transformers.AutoModel`.

    Attention is the model's own: a view that asks for another rule, or that keeps only some positions, is refused.
    Hidden layers below the last are what transformers reports, without the model's final norm.
    """

    def __init__(self, model: Any, source: dict[str, Any]) -> None:
        super().__init__()
        self.model = model
        self.source = source
        self.dim = int(model.config.get_text_config().hidden_size)
        self.depth = int(model.config.get_text_config().num_hidden_layers)

    @classmethod
    def load(cls, folder: Path, source: dict[str, Any]) -> AutoModelEncoder:
        """Load from a folder whose config.json is `source`. Raises ReknitError when transformers cannot."""
        from reknit.encoders.model_files import read_weights

        read_weights(folder)
        from transformers import AutoModel

        try:
            with quiet_libraries():
                model = AutoModel.from_pretrained(
                    folder, trust_remote_code=False, use_safetensors=True, dtype=torch.float32, local_files_only=True
                )
        except Exception as error:  # any of the hundreds of model classes may refuse in its own way
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise ReknitError(f"{folder}: transformers cannot load this model ({reason[:200]})") from error
        if getattr(model.config, "is_encoder_decoder", False):
            raise ReknitError(f"{folder} is an encoder-decoder model; only encoders can be used")
        if not hasattr(model.config.get_text_config(), "num_hidden_layers"):
            raise ReknitError(f"{folder}: {source.get('model_type')} is not a text encoder that can be used")
        return cls(model.eval(), source)

    @property
    def table(self) -> nn.Parameter:
        """[vocabulary, dim] token embedding table."""
        table: nn.Parameter = self.model.get_input_embeddings().weight
        return table

    @property
    def max_positions(self) -> int | None:
        """Longest sequence, in tokens, that config.json allows; None when it sets no limit."""
        limit = getattr(self.model.config.get_text_config(), "max_position_embeddings", None)
        return int(limit) if isinstance(limit, int) and limit > 0 else None

    def embed(self, tokens: Tensor, positions: Tensor) -> Tensor:
        """[T] tokens and [T] places in their sequences -> [T, dim] input of the first block."""
        starts = (positions == 0).nonzero().squeeze(1)
        cu_seqlens = torch.cat((starts, starts.new_tensor([tokens.numel()])))
        return self._run(tokens, cu_seqlens, {0})[0]

    def forward(self, view: View, layers: Sequence[int] | None = None) -> Encoded:
        """Encode a view. Raises ReknitError for attention rules and kept positions, which only native encoders know."""
        if view.attention is not bidirectional or view.kept is not None:
            raise ReknitError(
                f"{self.source.get('model_type')} models run through transformers, which cannot restrict attention or "
                "drop positions; use a BERT, RoBERTa, DistilBERT or ModernBERT model for this recipe"
            )
        wanted = set(layers) if layers is not None else {self.depth}
        if not wanted or min(wanted) < 0 or max(wanted) > self.depth:
            raise ReknitError(f"there are no layers {sorted(wanted)} in an encoder with layers 0 to {self.depth}")
        hidden = self._run(view.tokens, view.cu_seqlens, wanted)
        return Encoded(hidden, view.cu_seqlens, positions_of(view.cu_seqlens), self.depth)

    def _run(self, tokens: Tensor, cu_seqlens: Tensor, wanted: set[int]) -> dict[int, Tensor]:
        rows, columns = segments_of(cu_seqlens), positions_of(cu_seqlens)
        lengths = cu_seqlens.diff()
        shape = (lengths.numel(), int(lengths.max()))
        pad = self.model.config.get_text_config().pad_token_id
        padded = torch.full(shape, pad if isinstance(pad, int) and pad >= 0 else 0, device=tokens.device)
        padded[rows, columns] = tokens
        mask = torch.zeros(shape, dtype=torch.int64, device=tokens.device)
        mask[rows, columns] = 1
        output = self.model(
            input_ids=padded, attention_mask=mask, output_hidden_states=wanted != {self.depth}, return_dict=True
        )
        layers = {layer: output.hidden_states[layer] for layer in wanted if layer != self.depth}
        if self.depth in wanted:
            layers[self.depth] = output.last_hidden_state
        return {layer: states[rows, columns] for layer, states in layers.items()}
