"""Poolings with weights of their own, trained with the encoder: attention over learned vectors, the latents.

- "latent-attention" (NV-Embed: Lee et al. 2024, https://arxiv.org/abs/2405.17428): the tokens of the last layer look at
  the latents; the vector is the mean over the tokens.
- "layer-attention" and "token-attention" (Tang & Yang 2024, Pooling And Attention,
  https://arxiv.org/abs/2409.02727): the latents look at one state for each layer, or at the tokens of the last layer;
  the vector is the mean over the latents.

All three are one block: norms before attention and feed-forward network, a residual connection around each.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reknit.data.batch import segments_of
from reknit.encoders.attention.packed import AttentionLayout, attend
from reknit.encoders.base import Pooler
from reknit.encoders.model_files import read_json, read_weights
from reknit.encoders.native.config import default_heads
from reknit.encoders.pooling_modes import TRAINED_POOLINGS, mean_of_tokens
from reknit.errors import ReknitError

FOLDER = "trained_pooling"
_SETTINGS, _WEIGHTS = "config.json", "model.safetensors"
_WIDENED = 4


class TrainedPooling(Pooler):
    """kind: one of `TRAINED_POOLINGS`. dim, depth: of the encoder. latents: how many learned vectors. heads: of its
    attention, by default of 64 dimensions each.

    Matrices are drawn as torch draws them and latents from a normal distribution of deviation 1, as in the authors'
    code. Drawn as BERT's are, the latents' own mean would hide the text: vectors of random texts would begin with a
    cosine of 0.997 instead of 0.936 (width 128, "layer-attention"). There is no dropout.
    """

    def __init__(self, kind: str, dim: int, depth: int, latents: int = 64, heads: int | None = None) -> None:
        super().__init__()
        if kind not in TRAINED_POOLINGS:
            raise ReknitError(f"unknown trained pooling {kind!r}; use one of {', '.join(TRAINED_POOLINGS)}")
        heads = default_heads(dim) if heads is None else heads
        if latents < 1 or heads < 1 or dim % heads:
            raise ReknitError(
                f"a trained pooling of {latents} latents and {heads} heads does not fit a width of {dim}: it needs 1 "
                "latent or more, and heads that divide the width"
            )
        self.kind, self.dim, self.depth, self.heads = kind, dim, depth, heads
        self.latents = nn.Parameter(torch.randn(latents, dim))
        if kind == "layer-attention":
            # Less than the authors' deviation of 1, which weighs more than a mean over tokens: a cosine of 0.971.
            self.layers = nn.Parameter(0.02 * torch.randn(depth, dim))
        self.state_norm, self.latent_norm = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.query = nn.Linear(dim, dim, bias=False)
        self.key_value = nn.Linear(dim, 2 * dim, bias=False)
        self.attention_output = nn.Linear(dim, dim, bias=False)
        self.feed_forward_norm = nn.LayerNorm(dim)
        self.up = nn.Linear(dim, 2 * _WIDENED * dim)
        self.down = nn.Linear(_WIDENED * dim, dim)

    @property
    def reads_all_layers(self) -> bool:
        """Whether it needs the hidden states of every layer and not of the last alone."""
        return self.kind == "layer-attention"

    def forward(self, hidden: Mapping[int, Tensor], cu_seqlens: Tensor) -> Tensor:
        """One vector per sequence.

        hidden: {layer: [K, dim]}, the last layer at least, all from 1 on for "layer-attention". cu_seqlens: [N + 1].

        Returns [N, dim], float32 at least; a sequence without tokens gives zeros. Raises ReknitError when a layer is
        missing.
        """
        needed = range(1, self.depth + 1) if self.reads_all_layers else (self.depth,)
        if not hidden.keys() >= set(needed):
            raise ReknitError(
                f"{self.kind} pooling reads the output of all {self.depth} layers of its encoder, which it was trained "
                f"with, but layers {sorted(hidden)} were computed: use the whole encoder"
            )
        # The packed copy for inference computes in bfloat16; what is pooled is few, and kept exact.
        states = [hidden[layer].to(self.latents.dtype) for layer in needed]
        if self.kind == "latent-attention":
            pooled = mean_of_tokens(self._from_latents(states[0]), cu_seqlens)
        elif self.kind == "layer-attention":
            means = torch.stack([mean_of_tokens(one, cu_seqlens) for one in states], dim=1)
            pooled = self._into_latents(*self._keys_values(means + self.layers), None)
        else:
            pooled = self._over_tokens(states[0], cu_seqlens)
        empty = cu_seqlens.diff() == 0
        return pooled.masked_fill(empty.unsqueeze(1), 0.0)

    def _from_latents(self, states: Tensor) -> Tensor:
        """[K, dim] tokens that look at the latents -> [K, dim]. Each token for itself, so there is nothing to pad."""
        query = self._by_head(self.query(self.state_norm(states))[None])
        key, value = (self._by_head(part) for part in self.key_value(self.latent_norm(self.latents))[None].chunk(2, -1))
        attended = attend(query, key, value, None, 0.0)[0].transpose(0, 1).flatten(1)
        return self._fed_forward(states + self.attention_output(attended))

    def _into_latents(self, key: Tensor, value: Tensor, mask: Tensor | None) -> Tensor:
        """[b, heads, L, head_dim] of what the latents look at -> [b, dim], the mean over the latents."""
        query = self._by_head(self.query(self.latent_norm(self.latents))[None]).expand(key.shape[0], -1, -1, -1)
        attended = attend(query, key, value, mask, 0.0).transpose(1, 2).flatten(2)
        return self._fed_forward(self.latents + self.attention_output(attended)).float().mean(dim=1)

    def _over_tokens(self, states: Tensor, cu_seqlens: Tensor) -> Tensor:
        """[K, dim] -> [N, dim]: the latents look at the tokens of each sequence, in buckets of like length."""
        pooled = states.new_zeros(cu_seqlens.numel() - 1, self.dim, dtype=torch.float32)
        if states.shape[0] == 0:
            return pooled
        layout = AttentionLayout.of(cu_seqlens)
        # What is projected is packed; only its copies are padded.
        slots = layout.to_slots(self.key_value(self.state_norm(states)))
        owners = segments_of(cu_seqlens)
        owners = owners if layout.source is None else owners[layout.source]
        for bucket in layout.buckets:
            part = slice(bucket.start, bucket.start + bucket.slots)
            key_value = slots[part].view(bucket.sequences, bucket.length, -1).chunk(2, dim=-1)
            key, value = (self._by_head(one) for one in key_value)
            made = self._into_latents(key, value, layout.mask_of_keys(bucket))
            # The first slot of a sequence is never padding.
            pooled = pooled.index_copy(0, owners[part].view(bucket.sequences, -1)[:, 0], made)
        return pooled

    def _keys_values(self, states: Tensor) -> tuple[Tensor, Tensor]:
        key, value = self.key_value(self.state_norm(states)).chunk(2, dim=-1)
        return self._by_head(key), self._by_head(value)

    def _by_head(self, projected: Tensor) -> Tensor:
        """[b, L, dim] -> [b, heads, L, head_dim]."""
        heads: Tensor = projected.unflatten(-1, (self.heads, -1)).transpose(1, 2)
        return heads

    def _fed_forward(self, states: Tensor) -> Tensor:
        """GEGLU (Shazeer 2020) with a residual connection: [..., dim] -> [..., dim]."""
        values, gate = self.up(self.feed_forward_norm(states)).chunk(2, dim=-1)
        fed: Tensor = states + self.down(values * F.gelu(gate))
        return fed

    def save(self, folder: Path) -> None:
        """Write config.json and model.safetensors to the folder; it must exist."""
        from safetensors.torch import save_file

        settings = {"kind": self.kind, "dim": self.dim, "depth": self.depth}
        settings |= {"latents": self.latents.shape[0], "heads": self.heads}
        (folder / _SETTINGS).write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
        tensors = {name: value.detach().float().cpu().contiguous() for name, value in self.state_dict().items()}
        save_file(tensors, folder / _WEIGHTS, metadata={"format": "pt"})

    @classmethod
    def load(cls, folder: Path, dim: int, depth: int) -> TrainedPooling:
        """Read what `save` wrote, for an encoder of this width and depth, in evaluation mode.

        Raises ReknitError when it is missing, damaged, or another encoder's.
        """
        settings, weights = read_json(folder / _SETTINGS), read_weights(folder)
        given = [settings.get(name) for name in ("dim", "depth", "latents", "heads")]
        numbers = [number for number in given if isinstance(number, int) and not isinstance(number, bool)]
        if len(numbers) < len(given):
            raise ReknitError(f"{folder / _SETTINGS} must give dim, depth, latents and heads; make the model again")
        if numbers[:2] != [dim, depth]:
            raise ReknitError(
                f"{folder} was trained with {numbers[1]} layers of width {numbers[0]}, but the model beside it has "
                f"{depth} of width {dim}; they do not belong together"
            )
        made = cls(str(settings.get("kind")), dim, depth, latents=numbers[2], heads=numbers[3])
        expected = {name: value.shape for name, value in made.state_dict().items()}
        if expected != {name: value.shape for name, value in weights.items()}:
            raise ReknitError(f"{folder}: the weights are not those that config.json describes; make the model again")
        made.load_state_dict({name: value.float() for name, value in weights.items()})
        return made.eval()
