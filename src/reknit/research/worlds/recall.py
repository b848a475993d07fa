"""A world with known truth: keys are bound to values, bound again to others, and queried among tokens that mean
nothing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from reknit.data.batch import Batch, Vocabulary
from reknit.errors import ReknitError

_OPENS = 0


@dataclass(frozen=True)
class RecallWorld:
    """Texts of one length. Each token after the first binds a key to a value (one token for each pair), asks for a key,
    or is filler; which, and of what, is drawn anew for every token. The answer is the value that the key was bound to
    last. (Associative recall of several queries, Arora et al. 2023, with keys that are bound again.)

    length: tokens of a text. keys, values, fillers: how many there are. binds, asks: fraction of the tokens that do so.
    """

    length: int = 128
    keys: int = 8
    values: int = 4
    fillers: int = 16
    binds: float = 0.1
    asks: float = 0.4

    def __post_init__(self) -> None:
        if min(self.keys, self.values, self.fillers, self.length - 1) < 1 or self.binds + self.asks > 1.0:
            raise ReknitError("a world needs keys, values, fillers, two tokens, and fractions that sum to 1 at most")

    @property
    def vocabulary(self) -> Vocabulary:
        """The first token opens a text; then come the pairs (key by key), the questions and the fillers."""
        size = 1 + self.keys * self.values + self.keys + self.fillers
        return Vocabulary(size, pad=-1, mask=-1, cls=_OPENS, sep=-1, special=(_OPENS,))

    def batch(self, texts: int, *seed: int) -> Batch:
        """So many texts; the same for the same seed."""
        rng = np.random.default_rng([*seed, 101])
        shape = (texts, self.length - 1)
        pairs, questions = self.keys * self.values, self.keys
        kind = rng.random(shape)
        drawn = np.where(
            kind < self.binds,
            1 + rng.integers(0, pairs, shape),
            np.where(
                kind < self.binds + self.asks,
                1 + pairs + rng.integers(0, questions, shape),
                1 + pairs + questions + rng.integers(0, self.fillers, shape),
            ),
        )
        tokens = functional.pad(torch.from_numpy(drawn), (1, 0), value=_OPENS).flatten()
        special = tokens == _OPENS
        offsets = torch.arange(0, texts * self.length + 1, self.length)
        return Batch(tokens, offsets, special, torch.ones_like(special), self.vocabulary)

    def answers(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """[T] int64 twice: the value that a question's answer is, -1 elsewhere and where its key was never bound; and
        how many times the key was bound before."""
        tokens = batch.tokens.view(-1, self.length)
        pairs = self.keys * self.values
        binds = (tokens >= 1) & (tokens <= pairs)
        asked = tokens - 1 - pairs
        asks = (asked >= 0) & (asked < self.keys)
        of_key = functional.one_hot(((tokens - 1) // self.values).clamp(0, self.keys - 1), self.keys).bool()
        of_key &= binds[..., None]
        places = torch.arange(self.length, device=tokens.device)[None, :, None]
        last = torch.where(of_key, places, -1).cummax(dim=1).values  # [texts, length, keys]
        key = asked.clamp(0, self.keys - 1)[..., None]
        bound_at = last.gather(2, key).squeeze(2)
        value = (tokens.gather(1, bound_at.clamp(min=0)) - 1) % self.values
        known = asks & (bound_at >= 0)
        times = of_key.long().cumsum(dim=1).gather(2, key).squeeze(2)
        return torch.where(known, value, -1).flatten(), torch.where(known, times, 0).flatten()
