"""Batches of passages have tags where the recipe asks for a tagger, and are otherwise as they always were."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from reknit.catalogue import find
from reknit.recipe import BudgetSpec, DataSpec
from reknit.tokenizers.tokenizer import Tokenizer, train_tokenizer
from reknit.training.config import ProbeSpec, RunConfig
from reknit.training.corpus import Corpus, prepare_corpus
from reknit.training.run_folder import RunFolder
from reknit.training.sources import PassageBatches, SharedBatches, open_token_store
from reknit.training.team import Team

SOURCE = (
    "def f{n}(first, second):\n    total = first + {n}\n    return len(total) * second\n\n\nprint(f{n}(1, 2), {n})\n"
)


@pytest.fixture
def prepared(tmp_path: Path) -> tuple[RunFolder, Corpus, Tokenizer]:
    texts = [SOURCE.format(n=n) for n in range(60)]
    (tmp_path / "code.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    probe = ProbeSpec(queries=4)
    config = RunConfig(str(tmp_path / "code.jsonl"), budget=BudgetSpec(tokens=1), probe=probe, pretrain=find("codet5"))
    folder = RunFolder(tmp_path / "run")
    corpus = prepare_corpus(config, folder, ())
    return folder, corpus, train_tokenizer(texts, 300, lowercase=False)


def test_each_tagger_has_a_store_of_its_own(prepared: tuple[RunFolder, Corpus, Tokenizer]) -> None:
    folder, corpus, tokenizer = prepared
    stores = {tagger: open_token_store(folder, corpus, tokenizer, 64, tagger) for tagger in ("none", "code")}
    assert sorted(path.name for path in folder.data.glob("tokens-*")) == ["tokens-64", "tokens-64-code"]
    built = {path: path.stat().st_mtime_ns for path in folder.data.glob("tokens-*/store.json")}
    assert open_token_store(folder, corpus, tokenizer, 64, "code").tagger == "code"
    assert open_token_store(folder, corpus, tokenizer, 64).tagger == "none"
    assert built == {path: path.stat().st_mtime_ns for path in built}, "a store was built again"
    spec = DataSpec(max_length=64, tokens_per_batch=400, tagger="code")
    plain, tagged = (PassageBatches(store, spec, seed=0)(3) for store in stores.values())
    # The same batch but for the tags, so that arms with and without a tagger see the same data.
    assert torch.equal(plain.tokens, tagged.tokens)
    assert torch.equal(plain.word_starts, tagged.word_starts)
    assert plain.tagged is None
    names = tokenizer.decode(tagged.tokens[tagged.tagged >= 0])
    assert "first" in names
    assert "total" in names
    assert not {"def", "return", "len", "print"} & set(names.split())


def test_shares_carry_their_tags(prepared: tuple[RunFolder, Corpus, Tokenizer]) -> None:
    folder, corpus, tokenizer = prepared
    store = open_token_store(folder, corpus, tokenizer, 64, "code")
    batches = PassageBatches(store, DataSpec(max_length=64, tokens_per_batch=400, tagger="code"), seed=0)
    shares = [SharedBatches(batches, Team(rank=rank, size=2))(0) for rank in range(2)]
    assert torch.equal(torch.cat([share.tagged for share in shares]), batches(0).tagged)
