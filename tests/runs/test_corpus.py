"""What a corpus shows to training and to a new tokenizer."""

import json
import random
from pathlib import Path

import pytest
from encoder_samples import minilm_folder
from small_corpus import small_documents, write_small_corpus

from reknit.data.text.corpus import Corpus
from reknit.data.text.documents import Document, ReadReport
from reknit.data.text.holdout import hold_out
from reknit.data.text.passage_store import PassageStore
from reknit.errors import ReknitError
from reknit.models.embedding_model import EmbeddingModel
from reknit.models.loading import load_embedding_model
from reknit.runs.config import RunConfig
from reknit.runs.corpus import prepare_corpus
from reknit.runs.run_folder import RunFolder


def make_corpus(folder: Path) -> Corpus:
    documents = [
        Document(f"d{n}", f"Heading {n} of chapter{n}", " ".join(f"word{n}x{place}" for place in range(40)))
        for n in range(200)
    ]
    store = PassageStore.build(documents, folder / "passages.arrow", max_words=20)
    return Corpus(store, ReadReport(), hold_out(store, queries=40, seed=0))


def test_a_sample_is_drawn_from_the_training_texts(tmp_path: Path) -> None:
    corpus = make_corpus(tmp_path)
    every = list(corpus.training_texts())
    sample = list(corpus.sampled_training_texts(corpus.store.words // 4, seed=0))
    assert 0.15 < len(sample) / len(every) < 0.35
    places = [every.index(text) for text in sample]  # texts are distinct here
    assert places == sorted(places)
    assert {place % 2 for place in places} == {0, 1}  # first and second passages of documents alike
    queries = corpus.held_out.test.queries.values()
    assert queries
    assert not any(query in text for query in queries for text in sample)
    assert sample == list(corpus.sampled_training_texts(corpus.store.words // 4, seed=0))
    assert sample != list(corpus.sampled_training_texts(corpus.store.words // 4, seed=1))


def test_a_small_corpus_is_its_own_sample(tmp_path: Path) -> None:
    corpus = make_corpus(tmp_path)
    every = list(corpus.training_texts())
    assert list(corpus.sampled_training_texts(corpus.store.words, seed=0)) == every
    assert list(corpus.sampled_training_texts(10**9, seed=0)) == every


def test_a_share_of_the_corpus_is_the_same_documents_always(tmp_path: Path) -> None:
    path = write_small_corpus(tmp_path / "corpus.jsonl", documents=200)

    def ids(share: float, name: str) -> list[str]:
        config = RunConfig(corpus=str(path), corpus_share=share)
        store = prepare_corpus(config, RunFolder(tmp_path / name), ()).store
        return [passage.id for passage in store]

    whole, half = ids(1.0, "whole"), ids(0.5, "half")
    assert half == ids(0.5, "again")
    assert half == [one for one in whole if one in set(half)]
    assert 0.4 < len(half) / len(whole) < 0.6
    assert set(ids(0.25, "quarter")) < set(half)


def test_what_evaluations_ask_for_is_kept_from_training_and_not_from_search(tmp_path: Path) -> None:
    path = write_small_corpus(tmp_path / "corpus.jsonl", documents=60)
    config, folder = RunConfig(corpus=str(path)), RunFolder(tmp_path / "run")
    as_it_is = [passage.full_text for passage in prepare_corpus(config, RunFolder(tmp_path / "other"), ()).store]
    asked = small_documents(60)[7]["title"]
    for _ in ("made", "found again by a resumed run"):
        corpus = prepare_corpus(config, folder, {asked}, indexed=True)
        assert not any(asked in text for text in corpus.training_texts())
        assert sum(asked in text for text in as_it_is) > 0
        assert [passage.full_text for passage in corpus.searched] == as_it_is
        assert corpus.report.documents == 60
    late = RunFolder(tmp_path / "late")
    assert prepare_corpus(config, late, {asked}).whole is None
    corpus = prepare_corpus(config, late, {asked}, indexed=True)
    assert [passage.full_text for passage in corpus.searched] == as_it_is, "a resume may be the first to index"
    untouched = prepare_corpus(config, RunFolder(tmp_path / "third"), {"what nobody wrote"}, indexed=True)
    assert untouched.searched is untouched.store


def test_passages_are_as_long_as_the_model_reads(tmp_path: Path) -> None:
    chance = random.Random(0)
    words = ["fluid", "dynamics", "unthinkable", "wing", "supercalifragilistic", "of", "heat"]
    lines = [json.dumps({"id": n, "text": " ".join(chance.choices(words, k=400))}) for n in range(40)]
    path = tmp_path / "corpus.jsonl"
    path.write_text("\n".join(lines), encoding="utf-8")
    model = load_embedding_model(minilm_folder())
    model.max_length = 64

    def passages(name: str, reader: EmbeddingModel | None, **settings: int) -> list[str]:
        config = RunConfig(corpus=str(path), **settings)
        return [one.text for one in prepare_corpus(config, RunFolder(tmp_path / name), (), reader=reader).store]

    cut = passages("fitting", model)
    read_whole = [len(text.tokens) <= 64 for text in model.tokenizer.encode_batch(cut, 1000)]
    assert sum(read_whole) / len(read_whole) > 0.4
    assert max(len(text.split()) for text in cut) > 15
    assert max(len(text.split()) for text in passages("without", None)) > 100
    assert max(len(text.split()) for text in passages("said", model, passage_words=100)) > 60
    model.max_length = 512
    assert passages("all", model) == passages("again", None)


def test_a_folder_whose_probe_was_another_is_refused(tmp_path: Path) -> None:
    path = write_small_corpus(tmp_path / "corpus.jsonl", documents=60)
    config, folder = RunConfig(corpus=str(path)), RunFolder(tmp_path / "run")
    prepare_corpus(config, folder, ())
    assert prepare_corpus(config, folder, ()).passage_words == 160
    made = folder.data / "made.json"
    made.write_text(json.dumps({"passage_words": 160, "held_out": "0" * 16}))
    with pytest.raises(ReknitError, match="started by a version of reknit that held out other queries"):
        prepare_corpus(config, folder, ())
    made.unlink()  # a version that did not write it
    with pytest.raises(ReknitError, match="start a new run"):
        prepare_corpus(config, folder, ())
