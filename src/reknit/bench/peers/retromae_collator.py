"""RetroMAE's own collator (FlagEmbedding 1.2), which tokenises and corrupts a batch of texts in one process."""

from __future__ import annotations

import importlib.util
import random
import sys
import time
import types
from typing import Any

import torch
import worker
from transformers import AutoTokenizer


def collator_class() -> type:
    """The collator alone: FlagEmbedding's own import would want packages that it does not need."""
    spec = importlib.util.find_spec("FlagEmbedding")
    if spec is None or spec.submodule_search_locations is None:
        raise ImportError("FlagEmbedding 1.2.11 is not installed")
    package = types.ModuleType("FlagEmbedding")
    package.__path__ = list(spec.submodule_search_locations)
    sys.modules["FlagEmbedding"] = package
    module = importlib.import_module("FlagEmbedding.baai_general_embedding.retromae_pretrain.data")
    collator: type = module.RetroMAECollator
    return collator


def main() -> None:
    given = worker.settings()
    random.seed(given["seed"])
    torch.manual_seed(given["seed"])
    texts = worker.texts(given["texts"])
    collate = collator_class()(
        AutoTokenizer.from_pretrained(given["model"]),
        max_seq_length=given["max_length"],
        encoder_mlm_probability=0.3,
        decoder_mlm_probability=0.5,
    )
    batches = iter(given["order"])

    def turn() -> dict[str, Any]:
        started, tokens = time.perf_counter(), 0
        for _ in range(given["steps"]):
            batch = collate([texts[row] for row in next(batches)])
            tokens += int(batch["encoder_attention_mask"].sum())
        return {"seconds": time.perf_counter() - started, "tokens": tokens}

    worker.serve(turn, **turn())


main()
