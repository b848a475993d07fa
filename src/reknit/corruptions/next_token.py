"""Causal language modelling's view: each token sees only what came before, and some of that may be masked."""

from __future__ import annotations

from dataclasses import replace

import torch

from reknit.corruptions.masking import mask_tokens, ordinary_tokens
from reknit.data.attention_rules import causal
from reknit.data.batch import Batch, View


def predict_next(batch: Batch, rng: torch.Generator, *, masked_share: float = 0.0) -> View:
    """Predict every ordinary token but the first of each sequence, under causal attention.

    masked_share: fraction of each sequence's ordinary tokens that are masked in the input (MEAP, Zhuang et al. 2025)
    and predicted like all others; with 0, `rng` is not used.

    As everywhere, `targets` holds the clean token at its own position and `predict` marks the predicted ones: the
    prediction of position p is read from the hidden state at p - 1. Special tokens are not predicted.
    """
    predict = ordinary_tokens(batch)
    predict[batch.cu_seqlens[:-1]] = False
    shown = View.clean(batch)
    if masked_share:
        shown = mask_tokens(batch, rng, ratio=masked_share, random_share=0.0, keep_share=0.0)
    return replace(shown, predict=predict, attention=causal)
