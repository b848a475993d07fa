"""Linear attention whose memory decays, by a chunked form that equals its recurrence.

Gated linear attention: Yang, Wang, Shen, Panda and Kim 2023, https://arxiv.org/abs/2312.06635; read beside the authors'
code, fla/layers/gla.py of github.com/sustcsonglin/flash-linear-attention.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reknit.data.attention_rules import AttentionRule, bidirectional, causal
from reknit.encoders.attention.layout import AttentionLayout, Bucket
from reknit.encoders.attention.rotation import Rotation
from reknit.encoders.mixers.base import Mixer
from reknit.errors import ReknitError

Decay = Literal["data", "fixed", "none"]

_LOW_RANK = 16
_SOFTENED = 16.0  # a decay is a sigmoid's 16th root, so that little is forgotten at first
_CHUNK = 64  # a power of 2
_STRONGEST = -20.0  # forgets all but 2e-9; sums over a chunk of stronger ones would lose the digits of small ones
_EPSILON = 1e-5


class GatedLinear(Mixer):
    """Each head keeps a matrix of what it has read: S_t = diag(alpha_t) S_(t-1) + k_t v_t, o_t = q_t S_t.

    Keys have half of the block's width and values all of it. What comes out is normed by head and gated (swish). Where
    a row may look both ways, the sequence is read a second time from its end, with the same weights, and the two sums
    are added: each row counts itself in both.

    decay: "data" makes alpha of the row, for each dimension of the key (gated linear attention); "fixed" is one number
    a head, 1 - 2^-5 and nearer to 1 for each further head (RetNet, Sun et al. 2023); "none" forgets nothing (linear
    attention, Katharopoulos et al. 2020, without its normaliser). row_by_row: compute the recurrence itself, slowly.
    """

    row_by_row = False

    def __init__(self, dim: int, heads: int, layer: int = 0, dropout: float = 0.0, decay: Decay = "data") -> None:
        super().__init__(dim, heads, layer, dropout)
        if dim % (2 * heads):
            raise ReknitError(f"a linear mixer needs a width that is a multiple of twice the heads: {dim} and {heads}")
        self.decay = decay
        low = _LOW_RANK if decay == "data" else 0
        self._widths = [dim // 2, dim // 2, dim, dim, low]
        self.projected, self.mixed = sum(self._widths), dim
        self.norm = nn.Parameter(torch.ones(dim // heads))
        if decay == "data":
            self.decays = nn.Linear(_LOW_RANK, dim // 2)

    def check_rule(self, rule: AttentionRule) -> None:
        if rule is not bidirectional and rule is not causal:
            raise ReknitError(
                "this recipe restricts which token attends to which, and a linear mixer only supports causal and "
                "bidirectional reading: set encoder.mixer=attention, or use a recipe such as mlm or clm"
            )

    def forward(
        self, projected: Tensor, layout: AttentionLayout, rule: AttentionRule, rotation: Rotation | None
    ) -> Tensor:
        if len(projected) == 0:
            return projected[:, : self.mixed]
        query, key, value, gate, low = projected.split(self._widths, dim=1)
        with torch.autocast(projected.device.type, enabled=False):
            rows = torch.cat((query, key, value), dim=1).float()
            slots = layout.to_slots(torch.cat((rows, self._log_decay(low)), dim=1))
            parts = slots.split([bucket.slots for bucket in layout.buckets])
            read = [self._read(part, b, layout, rule) for part, b in zip(parts, layout.buckets, strict=True)]
            normed = F.rms_norm(
                layout.from_slots(torch.cat(read)), (self.dim // self.heads,), self.norm.float(), _EPSILON
            )
        return normed.flatten(1).to(projected.dtype) * F.silu(gate)

    def _log_decay(self, low: Tensor) -> Tensor:
        """[K, low rank] -> [K, dim / 2] logarithms of alpha, 0 or less."""
        if self.decay == "data":
            return F.logsigmoid(F.linear(low.float(), self.decays.weight.float(), self.decays.bias.float())) / _SOFTENED
        by_head = torch.arange(self.heads, device=low.device, dtype=torch.float32)
        kept = torch.log1p(-(2.0 ** (-5.0 - by_head))) if self.decay == "fixed" else torch.zeros_like(by_head)
        return kept.repeat_interleave(self.dim // 2 // self.heads).expand(len(low), -1)

    def _read(self, slots: Tensor, bucket: Bucket, layout: AttentionLayout, rule: AttentionRule) -> Tensor:
        """[slots, query, key, value and log decay] of a bucket -> [slots, heads, value width]."""
        widths = [*self._widths[:3], self.dim // 2]
        parts = slots.view(bucket.sequences, bucket.length, -1).split(widths, dim=-1)
        query, key, value, decay = (self._by_head(part) for part in parts)
        query = query * query.shape[-1] ** -0.5
        real = layout.mask_of_keys(bucket)
        if real is not None:  # what reads from the end begins with padding
            key = key * real[:, 0].transpose(1, 2).repeat_interleave(self.heads, dim=0)
        recurrence = stepped_recurrence if self.row_by_row else chunked_recurrence
        read = recurrence(query, key, value, decay)
        if rule is bidirectional:
            backwards = (part.flip(1) for part in (query, key, value, decay))
            read = read + recurrence(*backwards).flip(1)
        heads: Tensor = read.unflatten(0, (-1, self.heads)).transpose(1, 2).flatten(0, 1)
        return heads

    def _by_head(self, part: Tensor) -> Tensor:
        """[b, L, heads * width] -> [b * heads, L, width]."""
        heads: Tensor = part.unflatten(-1, (self.heads, -1)).transpose(1, 2).flatten(0, 1)
        return heads


def stepped_recurrence(query: Tensor, key: Tensor, value: Tensor, log_decay: Tensor) -> Tensor:
    """As `chunked_recurrence`, a row after the other: what the memory of a row to come would be made from."""
    state, read = torch.zeros_like(key[:, 0, :, None] * value[:, 0, None]), []
    for row in range(query.shape[1]):
        state = state * log_decay[:, row, :, None].exp() + key[:, row, :, None] * value[:, row, None]
        read.append((query[:, row, None] @ state).squeeze(1))
    return torch.stack(read, dim=1)


def chunked_recurrence(query: Tensor, key: Tensor, value: Tensor, log_decay: Tensor) -> Tensor:
    """S_t = diag(exp(log_decay_t)) S_(t-1) + key_t value_t and query_t S_t, for all t at once.

    query, key, log_decay: [b, L, k] float32, decays 0 or less. value: [b, L, v]. Returns [b, L, v].

    Between chunks the state goes on; within a chunk, rows meet by matrix products (section 4 of the paper). Every
    exponent is of a stretch that lies between the two rows, so none is above 0 and nothing overflows, whatever decays.
    """
    length = query.shape[1]
    query, key, value, log_decay = (
        F.pad(part, (0, 0, 0, -length % _CHUNK)).unflatten(1, (-1, _CHUNK)) for part in (query, key, value, log_decay)
    )
    since = log_decay.clamp(min=_STRONGEST).cumsum(
        dim=2
    )  # [b, n, chunk, k], from the beginning of the chunk, the row's own included
    whole = since[:, :, -1:]
    states = _states(whole.exp().transpose(2, 3), (key * (whole - since).exp()).transpose(2, 3) @ value)
    own = _within_chunks(*(part.flatten(0, 1) for part in (query, key, value, since)))
    return ((query * since.exp()) @ states + own.view_as(value)).flatten(1, 2)[:, :length]


def _states(decays: Tensor, added: Tensor) -> Tensor:
    """[b, n, k, 1] and [b, n, k, v] -> [b, n, k, v], the state that each chunk begins with."""
    state, states = torch.zeros_like(added[:, 0]), []
    for number in range(added.shape[1]):
        states.append(state)
        state = state * decays[:, number] + added[:, number]
    return torch.stack(states, dim=1)


def _within_chunks(query: Tensor, key: Tensor, value: Tensor, since: Tensor) -> Tensor:
    """What rows read of their own chunk, [b, chunk, ...] -> [b, chunk, v].

    The second half reads the first through the decay at the seam; then each half is read in the same way.
    """
    length = query.shape[1]
    if length == 1:
        return (query * key).sum(dim=2, keepdim=True) * value
    half = length // 2
    seam = since[:, half - 1 : half]
    asked = query[:, half:] * (since[:, half:] - seam).exp()
    offered = key[:, :half] * (seam - since[:, :half]).exp()
    crossed = (asked @ offered.transpose(1, 2)) @ value[:, :half]
    own = _within_chunks(*(part.reshape(-1, half, part.shape[2]) for part in (query, key, value, since)))
    first, second = own.view_as(value).chunk(2, dim=1)
    return torch.cat((first, second + crossed), dim=1)
