"""Texts to packed batches of like length, tokenised in the background."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch

from reknit.data.batch import View

# Texts tokenised and sorted together: enough that batches of like length form, few enough that a corpus of any size
# needs little memory. The next window is tokenised while the current one is encoded.
WINDOW = 8192


def packed_batches(
    texts: Sequence[str],
    prompt: str,
    tokens_of: Callable[[list[str]], list[np.ndarray]],
    tokens_per_batch: int,
    device: torch.device,
) -> Iterator[tuple[np.ndarray, View]]:
    """Packed batches of like length, longest first in each window, with the row number of each text.

    prompt: put in front of each text. tokens_of: from texts to the token ids of each, as they are encoded.
    """

    def tokenise(start: int) -> list[np.ndarray]:
        return tokens_of([prompt + text for text in texts[start : start + WINDOW]])

    if len(texts) <= WINDOW:
        yield from _of_window(0, tokenise(0), tokens_per_batch, device)
        return
    with ThreadPoolExecutor(max_workers=1) as background:
        upcoming = background.submit(tokenise, 0)
        for start in range(0, len(texts), WINDOW):
            tokens = upcoming.result()
            if start + WINDOW < len(texts):
                upcoming = background.submit(tokenise, start + WINDOW)
            yield from _of_window(start, tokens, tokens_per_batch, device)


def _of_window(
    start: int, tokens: list[np.ndarray], tokens_per_batch: int, device: torch.device
) -> Iterator[tuple[np.ndarray, View]]:
    for rows in _length_batches([len(sequence) for sequence in tokens], tokens_per_batch):
        yield rows + start, plain_view([tokens[row] for row in rows], device)


def _length_batches(lengths: list[int], tokens_per_batch: int) -> Iterator[np.ndarray]:
    """Row numbers, longest text first, cut where the token budget is spent (a longer text is a batch of its own)."""
    order = np.argsort(-np.asarray(lengths, dtype=np.int64), kind="stable")
    first, tokens = 0, 0
    for place, row in enumerate(order):
        if place > first and tokens + lengths[row] > tokens_per_batch:
            yield order[first:place]
            first, tokens = place, 0
        tokens += lengths[row]
    if first < len(order):
        yield order[first:]


def plain_view(sequences: list[np.ndarray], device: torch.device) -> View:
    """The token ids of each sequence, packed, with nothing masked and nothing to predict."""
    tokens = torch.from_numpy(np.concatenate(sequences).astype(np.int64, copy=False)).to(device)
    cu_seqlens = torch.tensor([0] + [len(sequence) for sequence in sequences]).cumsum(0).to(device)
    nothing = torch.zeros(tokens.shape, dtype=torch.bool, device=device)
    return View(tokens, cu_seqlens, tokens, nothing, nothing)
