"""Causal language modelling's view: each token sees only what came before, and some of that may be masked."""

from __future__ import annotations

from dataclasses import replace

import torch

from reknit.corruptions.masking import mask_tokens, ordinary_tokens
from reknit.data.attention_rules import causal
from reknit.data.batch import Batch, View


def predict_next(batch: Batch, rng: torch.Generator, *, masked_share: float = 0.0) -> View:
    """Ask for every ordinary token but the first of each sequence, under causal attention.

    masked_share: of each sequence's ordinary tokens, hidden from those that come after them (MEAP, Zhuang et al. 2025);
    they are asked for like all others. Nothing is drawn from `rng` without it.

    As everywhere, `targets` holds the clean token at its own position and `predict` marks what is asked for: the
    prediction of position p is read from the hidden state at p - 1. Special tokens are not asked for.
    """
    predict = ordinary_tokens(batch)
    predict[batch.cu_seqlens[:-1]] = False
    shown = View.clean(batch)
    if masked_share:
        shown = mask_tokens(batch, rng, ratio=masked_share, random_share=0.0, keep_share=0.0)
    return replace(shown, predict=predict, attention=causal)
