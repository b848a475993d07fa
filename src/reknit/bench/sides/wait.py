"""A recipe trained with the batches of a real run, to see how long each step waits for its own."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import torch

from reknit.bench.peers import worker
from reknit.bench.sides.train import Pauses
from reknit.catalogue import find
from reknit.data.documents import Document
from reknit.data.pairs import PairMiner
from reknit.data.store import PassageStore
from reknit.data.token_store import TokenStore
from reknit.encoders.huggingface import load_encoder
from reknit.recipe import BudgetSpec, DataSpec
from reknit.tokenizers.tokenizer import Tokenizer
from reknit.training.checkpoint import CheckpointFolder
from reknit.training.interrupt import Interrupted, StopRequest
from reknit.training.precision import best_device
from reknit.training.sources import PairBatches, PassageBatches
from reknit.training.trainer import Batches, PhaseSettings, Trainer


def main() -> None:
    given = worker.settings()
    torch.manual_seed(given["seed"])
    folder, tokenizer, recipe = Path(given["folder"]), Tokenizer.load(given["model"]), find(given["recipe"])
    encoder = load_encoder(given["model"]).to(best_device())
    objective = recipe.objective.build(encoder, tokenizer.vocabulary, "mean").to(best_device())
    length, tokens = given["max_length"], given["tokens_per_batch"]
    spec = replace(
        recipe.data,
        max_length=length,
        query_max_length=length,
        tokens_per_batch=tokens,
        pairs_per_batch=tokens // (2 * length),
    )
    settings = PhaseSettings(
        name="bench",
        optimiser=recipe.optimiser,
        budget=BudgetSpec(tokens=10**12),  # never spent: the other side of the pipe ends it
        seed=given["seed"],
        precision=given["precision"],
        checkpoint_minutes=float("inf"),
        probes=0,
    )
    documents = [Document(**fields) for fields in worker.texts(given["documents"])]
    passages = PassageStore.build(documents, folder / "passages.arrow", max_words=given["passage_words"])
    batches = _batches(folder, tokenizer, spec, passages, given["seed"])
    stop = StopRequest()
    log = Pauses(folder / "metrics.jsonl", given["steps"], stop)
    trainer = Trainer(settings, encoder, objective, batches, CheckpointFolder(folder), log, stop=stop)
    with suppress(Interrupted):
        trainer.run()


def _batches(folder: Path, tokenizer: Tokenizer, spec: DataSpec, passages: PassageStore, seed: int) -> Batches:
    if spec.source == "pairs":
        return PairBatches(PairMiner(passages, spec.pair_kinds, None, seed, tokenizer.mask_token), tokenizer, spec)
    texts = (passage.full_text for passage in passages)
    return PassageBatches(TokenStore.build(texts, tokenizer, folder / "tokens", max_length=spec.max_length), spec, seed)


if __name__ == "__main__":
    main()
