"""A recipe trained with the batches of a real run, to see how long each step waits for its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from reknit.bench.peers import worker
from reknit.bench.sides.train import train_in_turns
from reknit.catalogue import find
from reknit.data.text.documents import Document
from reknit.data.text.passage_store import PassageStore
from reknit.encoders.huggingface.loading import load_encoder
from reknit.jobs.precision import best_device
from reknit.sources.pair_miner import PairMiner
from reknit.sources.pairs import PairBatches, PairSpec
from reknit.sources.passages import PassageBatches
from reknit.sources.source import Source
from reknit.sources.spec import DataSpec
from reknit.sources.token_store import TokenStore
from reknit.tokenizers.tokenizer import Tokenizer


def main() -> None:
    given = worker.settings()
    torch.manual_seed(given["seed"])
    folder, tokenizer, recipe = Path(given["folder"]), Tokenizer.load(given["model"]), find(given["recipe"])
    encoder = load_encoder(given["model"]).to(best_device())
    objective = recipe.objective.build(encoder, tokenizer.vocabulary, "mean").to(best_device())
    documents = [Document(**fields) for fields in worker.texts(given["documents"])]
    passages = PassageStore.build(documents, folder / "passages.arrow", max_words=given["passage_words"])
    batches = _batches(folder, tokenizer, recipe.data, passages, given)
    train_in_turns(given, encoder, objective, batches, recipe.optimiser)


def _batches(
    folder: Path, tokenizer: Tokenizer, spec: DataSpec, passages: PassageStore, given: dict[str, Any]
) -> Source:
    length, tokens, seed = given["max_length"], given["tokens_per_batch"], given["seed"]
    if isinstance(spec, PairSpec):
        miner = PairMiner(passages, spec.pair_kinds, None, seed, tokenizer.mask_token)
        return PairBatches(miner, tokenizer, tokens // (2 * length), (length, length))
    texts = (passage.full_text for passage in passages)
    return PassageBatches(TokenStore.build(texts, tokenizer, folder / "tokens", max_length=length), tokens, seed)


if __name__ == "__main__":
    main()
