"""Causal language modelling's view: nothing is hidden, but each token sees only what came before."""

from __future__ import annotations

import torch

from reknit.corruptions.masking import ordinary_tokens
from reknit.data.attention_rules import causal
from reknit.data.batch import Batch, View


def predict_next(batch: Batch) -> View:
    """Ask for every ordinary token but the first of each sequence, under causal attention.

    As everywhere, `targets` holds the clean token at its own position and `predict` marks what is asked for: the
    prediction of position p is read from the hidden state at p - 1. Special tokens are not asked for.
    """
    predict = ordinary_tokens(batch)
    predict[batch.cu_seqlens[:-1]] = False
    return View(
        tokens=batch.tokens,
        cu_seqlens=batch.cu_seqlens,
        targets=batch.tokens,
        predict=predict,
        hidden=torch.zeros_like(predict),
        attention=causal,
    )
