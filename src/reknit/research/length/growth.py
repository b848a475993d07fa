"""How seconds and memory of an encoder grow with the length of a text."""

from __future__ import annotations

import time

import torch

from reknit.data.attention_rules import AttentionRule, causal
from reknit.data.batch import View
from reknit.encoders.base import Encoder
from reknit.research.kept_bytes import kept_bytes

SHORT, LONG = 512, 16_384


def seconds_growth(encoder: Encoder, vocabulary: int, rule: AttentionRule = causal, repeats: int = 3) -> float:
    """Seconds of one text of LONG tokens over those of as many tokens in texts of SHORT, the fastest of `repeats`
    each: 1 where they do not grow with the length. On a processor its own seconds are counted, whoever else it works
    for."""
    return _seconds(encoder, LONG, vocabulary, rule, repeats) / _seconds(encoder, SHORT, vocabulary, rule, repeats)


def bytes_growth(encoder: Encoder, vocabulary: int, rule: AttentionRule = causal) -> float:
    """Bytes kept for the backward pass of one text of LONG tokens over those of as many tokens in texts of SHORT."""
    return _kept_bytes(encoder, LONG, vocabulary, rule) / _kept_bytes(encoder, SHORT, vocabulary, rule)


def _seconds(encoder: Encoder, length: int, vocabulary: int, rule: AttentionRule, repeats: int) -> float:
    view = _texts(encoder, length, vocabulary, rule)
    on_device = view.tokens.is_cuda
    clock = time.perf_counter if on_device else time.process_time
    found = []
    with torch.inference_mode():
        for _ in range(repeats):
            began = clock()
            encoder(view)
            if on_device:
                torch.cuda.synchronize()
            found.append(clock() - began)
    return min(found)


def _kept_bytes(encoder: Encoder, length: int, vocabulary: int, rule: AttentionRule) -> int:
    view = _texts(encoder, length, vocabulary, rule)
    return kept_bytes(lambda: encoder(view).last, encoder.parameters())


def _texts(encoder: Encoder, length: int, vocabulary: int, rule: AttentionRule) -> View:
    """LONG random tokens in texts of one length."""
    device = next(encoder.parameters()).device
    tokens = torch.randint(vocabulary, (LONG,), generator=torch.Generator().manual_seed(0)).to(device)
    nothing = torch.zeros_like(tokens, dtype=torch.bool)
    offsets = torch.arange(0, LONG + 1, length, device=device)
    return View(tokens, offsets, tokens, nothing, nothing, rule)
