"""Batches of passages: tags where the recipe asks for a tagger, a part of the corpus where it names one."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from reknit.catalogue import find
from reknit.data.text.corpus import Corpus
from reknit.data.text.documents import Document
from reknit.data.text.passage_store import PassageStore
from reknit.errors import ReknitError
from reknit.recipe import BudgetSpec
from reknit.runs import phases
from reknit.runs.config import ProbeSpec, RunConfig, with_overrides
from reknit.runs.corpus import prepare_corpus
from reknit.runs.run_folder import RunFolder
from reknit.runs.start import build_start
from reknit.sources.pairs import PairSpec
from reknit.sources.passages import PassageBatches, PassageSpec, open_token_store
from reknit.sources.queries import QuerySpec
from reknit.sources.spec import DataSpec
from reknit.tokenizers.tokenizer import Tokenizer, train_tokenizer
from reknit.training.team import Team
from reknit.training.team_batches import BatchShards

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
    stores = {
        tagger: open_token_store(folder.data, corpus.training_texts(), tokenizer, 64, tagger)
        for tagger in ("none", "code")
    }
    assert sorted(path.name for path in folder.data.glob("tokens-*")) == ["tokens-64", "tokens-64-code"]
    built = {path: path.stat().st_mtime_ns for path in folder.data.glob("tokens-*/store.json")}
    assert open_token_store(folder.data, corpus.training_texts(), tokenizer, 64, "code").tagger == "code"
    assert open_token_store(folder.data, corpus.training_texts(), tokenizer, 64).tagger == "none"
    assert built == {path: path.stat().st_mtime_ns for path in built}, "a store was built again"
    plain, tagged = (PassageBatches(store, 400, seed=0)(3) for store in stores.values())
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
    store = open_token_store(folder.data, corpus.training_texts(), tokenizer, 64, "code")
    batches = PassageBatches(store, 400, seed=0)
    shares = [BatchShards(batches, Team(rank=rank, size=2))(0) for rank in range(2)]
    assert torch.equal(torch.cat([share.tagged for share in shares]), batches(0).tagged)


LANGUAGES = {"es": "perro gato casa mesa libro agua", "en": "dog cat house table book water"}


def two_languages(folder: Path, pretrain: str = "mlm", **changes: str) -> tuple[RunConfig, Corpus]:
    """A corpus of two files a language, whose words no other language has; some texts are the probe's answers."""
    for language, words in LANGUAGES.items():
        for file in ("a", "b"):
            path = folder / "texts" / language / f"{file}.jsonl"
            path.parent.mkdir(parents=True, exist_ok=True)
            lines = [
                json.dumps({"text": f"{file}{n} " + ". ".join(f"{words} {n}{sentence}" for sentence in "xyz") + "."})
                for n in range(30)
            ]
            path.write_text("\n".join(lines) + "\n")
    recipe = find(pretrain)
    config = RunConfig(
        str(folder / "texts"),
        budget=BudgetSpec(tokens=1),
        probe=ProbeSpec(queries=20),
        pretrain=replace(recipe, data=replace(recipe.data, max_length=64, **changes)),
    )
    return config, prepare_corpus(config, RunFolder(folder / "run"), ())


@pytest.mark.parametrize("below", ["", "e", "es", "en/", "es/b", "en/a.jsonl"])
def test_batches_of_a_part_hold_its_training_texts_and_nothing_else(tmp_path: Path, below: str) -> None:
    _, corpus = two_languages(tmp_path)
    assert corpus.held_out.training_text, "the probe's answers are trained on without their queries"
    tokenizer = train_tokenizer(corpus.training_texts(), 300, lowercase=False)
    store = open_token_store(RunFolder(tmp_path / "run").data, corpus.training_texts(), tokenizer, 64)
    batches = PassageBatches(store, 300, 0, corpus.passages_below(below))
    naive = [
        corpus.held_out.training_text.get(number, passage.full_text)
        for number, passage in enumerate(corpus.store)
        if passage.source.startswith(below)
    ]
    expected = sorted(tokenizer.pack([text], 64).tokens.tolist() for text in naive)
    for epoch in range(2):
        steps, found = len(batches.order.epoch(epoch)), []
        first = epoch * len(batches.order.epoch(0))
        for step in range(first, first + steps):
            batch = batches(step)
            found += [part.tolist() for part in batch.tokens.split(batch.cu_seqlens.diff().tolist())]
        assert sorted(found) == expected
    if below in ("", "e"):
        # What is all of it is as if nothing had been chosen, also in its order.
        whole = PassageBatches(store, 300, 0)
        assert all(torch.equal(whole(step).tokens, batches(step).tokens) for step in range(9))


@pytest.mark.parametrize(("recipe", "below"), [("mlm", "es"), ("simcse", "es"), ("infonce-pairs", "en"), ("mlm", "")])
def test_a_phase_trains_on_the_part_that_it_names(tmp_path: Path, recipe: str, below: str) -> None:
    config, corpus = two_languages(tmp_path, recipe, below=below)
    folder = RunFolder(tmp_path / "run")
    model = build_start(config, folder, corpus)
    batches = config.pretrain.data.open(corpus, model, folder.data, config.seed)
    seen = {
        language
        for step in range(8)
        for language, words in LANGUAGES.items()
        for word in words.split()
        if word in model.tokenizer.decode(batches(step).tokens)
    }
    assert seen == ({below} if below else set(LANGUAGES))


def test_a_new_encoder_begins_with_the_table_that_was_made_for_it_once(tmp_path: Path) -> None:
    config, corpus = two_languages(tmp_path, "infonce-pairs")
    config = with_overrides(
        config, ("pretrain.encoder.token_table=latent-semantic", "pretrain.encoder.pooling=mean", f"seed={2**33}")
    )
    folder = RunFolder(tmp_path / "run")
    model, again = (build_start(config, folder, corpus) for _ in range(2))
    (saved,) = folder.data.glob("latent-semantic-*")
    table = load_file(saved)["table"]
    assert torch.equal(model.encoder.table.detach().cpu(), table)
    assert not table[model.tokenizer.is_special, :-2].any()
    assert table[~torch.from_numpy(model.tokenizer.is_special), :-2].any()
    save_file({"table": torch.ones_like(table)}, saved)
    assert (build_start(config, folder, corpus).encoder.table == 1).all(), "it is not made again"
    assert torch.equal(again.encoder.table, model.encoder.table)


def test_a_part_that_is_not_there_names_some_files_that_are(tmp_path: Path) -> None:
    config, corpus = two_languages(tmp_path, below="fr")
    line = f"data.below=fr: no passage of {tmp_path / 'texts'} is from a file whose path begins with it; there are "
    with pytest.raises(ReknitError, match=f"^{re.escape(line)}en/, es/$"):
        phases.check_parts(config, corpus)
    many = PassageStore.build((Document(str(n), "", "text", f"{n}.txt") for n in range(7)), tmp_path / "many.arrow")
    with pytest.raises(ReknitError, match=r"there are 0.txt, 1.txt, 2.txt, 3.txt, 4.txt \.\.\.$"):
        replace(corpus, store=many).passages_below("8")
    built_in = PassageStore.build([Document("1", "", "text")], tmp_path / "none.arrow")
    with pytest.raises(ReknitError, match="it is built in, or was read before files were remembered"):
        replace(corpus, store=built_in).passages_below("8")


@pytest.mark.parametrize("spec", [PassageSpec(), PairSpec(pair_kinds=("twin",)), QuerySpec()])
@pytest.mark.parametrize("processes", [1, 2, 7])
def test_the_setting_that_gives_a_batch_room_does(spec: DataSpec, processes: int) -> None:
    roomy = with_overrides(spec, (spec.with_room(processes),))
    assert roomy.room == processes
    assert type(roomy) is type(spec)


@pytest.mark.parametrize("recipe", ["mlm", "infonce-pairs"])
def test_a_source_is_a_function_of_the_step(tmp_path: Path, recipe: str) -> None:
    config, corpus = two_languages(tmp_path, recipe)
    folder = RunFolder(tmp_path / "run")
    model = build_start(config, folder, corpus)
    first, again = (config.pretrain.data.open(corpus, model, folder.data, seed=3) for _ in range(2))
    other = config.pretrain.data.open(corpus, model, folder.data, seed=4)
    forwards = [first(step).tokens for step in range(5)]
    backwards = [again(step).tokens for step in reversed(range(5))][::-1]
    assert all(torch.equal(one, two) for one, two in zip(forwards, backwards, strict=True))
    assert any(not torch.equal(tokens, other(step).tokens) for step, tokens in enumerate(forwards))
