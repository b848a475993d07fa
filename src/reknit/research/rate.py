"""How fast this machine trains a small transformer: what turns a claim's FLOPs into minutes."""

from __future__ import annotations

import time
from functools import cache
from statistics import median

import torch
from torch import nn
from torch.nn import functional

from reknit.jobs.precision import autocast, best_device, resolve_precision
from reknit.training.budget import count_flops

# The small size of the claims about objectives; bench's `matrix_rate` is the ceiling, of which this is a part.
DIM, DEPTH, HEADS, FEED_FORWARD, VOCABULARY = 128, 3, 2, 512, 8000
TEXTS, LENGTH = 32, 128
STEPS = 5


@cache
def training_rate() -> float:
    """FLOP/s of training steps (forward, backward, optimiser) on the best device: the median of some, after one more.

    It takes a second or two and is measured once in a process.
    """
    device = best_device()
    precision = resolve_precision("auto", device)
    layer = nn.TransformerEncoderLayer(DIM, HEADS, FEED_FORWARD, batch_first=True)
    blocks = nn.TransformerEncoder(layer, DEPTH, enable_nested_tensor=False).to(device)
    table = nn.Embedding(VOCABULARY, DIM).to(device)
    optimiser = torch.optim.AdamW([*blocks.parameters(), *table.parameters()])
    tokens = torch.randint(VOCABULARY, (TEXTS, LENGTH), device=device)

    def step() -> None:
        with autocast(precision, device):
            logits = blocks(table(tokens)) @ table.weight.T
        functional.cross_entropy(logits.float().flatten(0, 1), tokens.flatten()).backward()
        optimiser.step()
        optimiser.zero_grad()
        if device.type == "cuda":
            torch.cuda.synchronize()

    with count_flops() as counter:
        step()
    seconds = []
    for _ in range(STEPS):
        began = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - began)
    return counter.get_total_flops() / median(seconds)
