"""Which patches of a picture are masked: squares of several patches, drawn at random."""

from __future__ import annotations

import torch

from reknit.data.batch import Batch, View, segments_of
from reknit.data.shard import for_whole_batch
from reknit.errors import ReknitError


@for_whole_batch
def mask_patches(batch: Batch, rng: torch.Generator, *, ratio: float = 0.6, unit: int = 1) -> View:
    """Mask a fraction of the squares that each picture is cut into (SimMIM, Xie et al. 2022, section 3.2).

    A square has `unit` x `unit` patches, fewer at the right and lower edge of a picture that squares do not fill. In
    each picture `ceil(ratio * squares)` are masked and asked for, drawn without replacement; rows that are no patches
    stay. rng: a CPU generator; all randomness is one draw of [T] numbers. Raises ReknitError for a ratio or unit out of
    range, and a batch without patches.
    """
    if not 0.0 < ratio <= 1.0 or unit < 1:
        raise ReknitError(f"ratio is {ratio} and unit {unit}: the first is above 0 and at most 1, the second 1 or more")
    if batch.signal is None:
        raise ReknitError("this batch has no patches to mask: train on pictures")
    draws = torch.rand(batch.num_tokens, generator=rng).to(batch.tokens.device)
    at, squares = batch.signal.at, batch.signal.places // unit
    pictures = segments_of(batch.cu_seqlens)[at]
    # Squares numbered through; each is drawn by the first of its patches.
    named, square = torch.unique(torch.cat((pictures[:, None], squares), dim=1), dim=0, return_inverse=True)
    firsts = torch.full((len(named),), len(at), device=at.device).scatter_reduce_(
        0, square, torch.arange(len(at), device=at.device), "amin"
    )
    drawn, owner = draws[at[firsts]], named[:, 0]
    counts = torch.bincount(owner, minlength=batch.num_sequences)
    wanted = (ratio * counts.double()).ceil()
    order = (owner.double() * 2 + drawn.double()).argsort()
    rank = torch.empty_like(order)
    rank[order] = torch.arange(len(order), device=order.device)
    taken = rank - (counts.cumsum(0) - counts)[owner] < wanted[owner]
    masked = torch.zeros_like(batch.special)
    masked[at] = taken[square]
    return View(batch.tokens, batch.cu_seqlens, batch.tokens, masked, masked, signal=batch.signal)
