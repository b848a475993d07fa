"""Labelled folders: told apart, read, measured, and refused with a reason."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from research_samples import classes, collection, pairs, sentences
from small_corpus import THINGS, small_documents
from small_model import write_small_model

from reknit.catalogue import find
from reknit.errors import ReknitError
from reknit.evaluation.classification import linear_probe, load_classification
from reknit.evaluation.measure import Subject
from reknit.evaluation.measures import lower_is_better, open_measures
from reknit.evaluation.similarity import load_similarity, spearman
from reknit.evaluation.tables import read_table
from reknit.models.embedding_model import EmbeddingModel
from reknit.models.loading import load_embedding_model


def counts(texts: list[str], kind: str) -> np.ndarray:
    """How often each thing is named."""
    return np.array([[text.count(thing) for thing in THINGS] for text in texts], dtype=np.float32)


def blind(texts: list[str], kind: str) -> np.ndarray:
    return np.ones((len(texts), 4), dtype=np.float32)


class Counting(EmbeddingModel):
    """A model whose vectors are counts of things, or all alike. layers, dims: as they were last asked for."""

    def __init__(self, encode: Callable) -> None:
        self.found, self.asked = encode, (None, None)

    def encode(self, texts: list[str], *, prompt_name: str, layers: int | None, dims: int | None, **_: object):
        self.asked = layers, dims
        return self.found(texts, prompt_name)[:, :dims]

    def comparable(self, vectors: np.ndarray) -> np.ndarray:
        return vectors


def test_each_kind_of_folder_has_its_measure(tmp_path: Path) -> None:
    found = open_measures([collection(tmp_path / "a"), classes(tmp_path / "b"), pairs(tmp_path / "c")], 100)
    assert [one.label for one in found] == ["a nDCG@10", "b accuracy", "c Spearman"]
    assert [len(one.texts_to_keep_out) for one in found] == [20, 0, 0]
    knowing, knowing_nothing = Counting(counts), Counting(blind)
    for measure, of_tuned in zip(found, (True, False, True), strict=True):
        best, worst = (measure.value(Subject(model, model)) for model in (knowing, knowing_nothing))
        assert best > worst + 0.2
        mixed = Subject(trained=knowing_nothing, tuned=knowing)
        assert measure.value(mixed) == (best if of_tuned else worst), "the linear probe is of the encoder as trained"
        assert not measure.lower_is_better
        assert not measure.of_language_models


def test_sizes_are_of_search_and_similarity(tmp_path: Path) -> None:
    folders = [collection(tmp_path / "a"), classes(tmp_path / "b"), pairs(tmp_path / "c")]
    found = open_measures(folders, 100, sizes=("1x8", "2x16"))
    assert [one.label for one in found[3:]] == [
        "a nDCG@10 at 1x8",
        "c Spearman at 1x8",
        "a nDCG@10 at 2x16",
        "c Spearman at 2x16",
    ]
    model = Counting(counts)
    found[0].value(Subject(model, model))
    assert model.asked == (None, None)
    found[3].value(Subject(model, model))
    assert model.asked == (1, 8)
    found[6].value(Subject(model, model))
    assert model.asked == (2, 16)


def test_a_linear_probe_learns_what_is_there_and_no_more(tmp_path: Path) -> None:
    data = load_classification(classes(tmp_path / "classes"))
    assert linear_probe(data, counts).mean() == 1.0
    assert linear_probe(data, blind).mean() == 0.5
    assert len(linear_probe(data, counts)) == len(data.test)
    with pytest.raises(ReknitError, match="the model gives NaN or infinity for texts of classes"):
        linear_probe(data, lambda texts, kind: np.full((len(texts), 2), np.nan))


def test_a_linear_probe_sees_only_so_many_texts(tmp_path: Path) -> None:
    data = load_classification(classes(tmp_path / "classes"))
    asked: list[int] = []

    def watched(texts: list[str], kind: str) -> np.ndarray:
        asked.append(len(texts))
        return counts(texts, kind)

    linear_probe(data, watched, texts=20)
    assert asked == [20, 60]


def test_spearman_is_that_of_ranks(tmp_path: Path) -> None:
    data = load_similarity(pairs(tmp_path / "pairs"))
    assert spearman(data, counts) == pytest.approx(1.0)
    assert spearman(data, blind) == 0.0


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "no column 'label'"),
        ("label\tother\nx\ty\n", "no column 'text'"),
        ("label\ttext\n", "no rows"),
        ("label\ttext\nx\ty\tz\n", ":2: 3 columns, but the header has 2"),
    ],
)
def test_broken_tables(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "t.tsv").write_text(content, encoding="utf-8")
    with pytest.raises(ReknitError, match=message):
        read_table(tmp_path / "t.tsv", ("label", "text"))


def test_tables_with_more_columns_quotes_and_a_byte_order_mark(tmp_path: Path) -> None:
    text = '\ufefftext\tnote\tlabel\r\n"Quoted\tx\tone\n\nplain\u2028"\ty\ttwo\n'
    (tmp_path / "t.tsv").write_text(text, encoding="utf-8")
    assert read_table(tmp_path / "t.tsv", ("label", "text")) == [["one", '"Quoted'], ["two", 'plain\u2028"']]


def test_other_encodings_and_missing_files(tmp_path: Path) -> None:
    (tmp_path / "t.tsv").write_bytes(b"label\ttext\nx\t\xff\n")
    with pytest.raises(ReknitError, match="not UTF-8"):
        read_table(tmp_path / "t.tsv", ("label", "text"))
    with pytest.raises(ReknitError, match="cannot be read"):
        read_table(tmp_path / "none.tsv", ("label", "text"))


def test_folders_that_are_no_use(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(ReknitError, match="cannot be used for evaluation: the corpus"):
        open_measures([tmp_path / "empty"], 10)
    first, second = classes(tmp_path / "one" / "same"), classes(tmp_path / "two" / "same")
    with pytest.raises(ReknitError, match="have the measure 'same accuracy'"):
        open_measures([first, second], 10)
    (first / "train.tsv").write_text("label\ttext\nonly\ta\nonly\tb\n", encoding="utf-8")
    with pytest.raises(ReknitError, match="only one label"):
        open_measures([first], 10)
    scores = pairs(tmp_path / "pairs")
    (scores / "test.tsv").write_text("score\tsentence1\tsentence2\nhigh\ta\tb\n", encoding="utf-8")
    with pytest.raises(ReknitError, match="not a number"):
        open_measures([scores], 10)
    (scores / "test.tsv").write_text("score\tsentence1\tsentence2\n1\ta\tb\n1\tc\td\n", encoding="utf-8")
    with pytest.raises(ReknitError, match="not all the same"):
        open_measures([scores], 10)


def test_texts_are_for_both_perplexities(tmp_path: Path) -> None:
    (tmp_path / "news.txt").write_text("A first text. And more.")
    masked, causal = open_measures([tmp_path / "news.txt"], 10)
    assert [(one.label, one.texts_to_keep_out) for one in (masked, causal)] == [
        ("news pseudo-perplexity", ("A first text.", "And more.")),
        ("news perplexity", ("A first text.", "And more.")),
    ]
    for one in (masked, causal):
        assert lower_is_better(one.label)
        assert one.lower_is_better
        assert one.of_language_models
    assert not lower_is_better("perplexity accuracy")


@pytest.mark.parametrize(("kind", "lacking"), [(classes, "test.tsv"), (collection, "corpus.jsonl")])
def test_half_a_labelled_folder_is_not_taken_for_texts(tmp_path: Path, kind: Callable, lacking: str) -> None:
    folder = kind(tmp_path / "half")
    (folder / lacking).unlink()
    for place in (folder, folder.parent, next(folder.glob("*.[tj]*"))):
        with pytest.raises(ReknitError, match=r"cannot be used for evaluation: .*half.* is part of a labelled folder"):
            open_measures([place], 10)


def test_sentence_pairs_are_told_from_texts(tmp_path: Path) -> None:
    pairs_of = sentences(tmp_path / "pairs")
    file = pairs_of / "order.jsonl"
    file.write_text("\n" + file.read_text())
    assert [one.label for one in open_measures([pairs_of], 10)] == ["pairs pair accuracy"]
    (tmp_path / "about").mkdir()
    (tmp_path / "about" / "a.jsonl").write_text('{"text": "A line has \\"sentence_good\\"."}\n')
    (tmp_path / "about" / "more.jsonl").mkdir()
    labels = ["about pseudo-perplexity", "about perplexity"]
    assert [one.label for one in open_measures([tmp_path / "about"], 10)] == labels


def test_likelihoods_are_of_the_kind_of_language_model_that_was_trained(tmp_path: Path) -> None:
    (tmp_path / "news.txt").write_text(" ".join(document["text"] for document in small_documents(3)))
    model = load_embedding_model(write_small_model(tmp_path / "model"))
    places = [tmp_path / "news.txt", sentences(tmp_path / "order")]
    pseudo, causal, accepted = open_measures(places, 10)
    for name, expected in (("mlm", pseudo), ("clm", causal)):
        objective = find(name).objective.build(model.encoder, model.tokenizer.vocabulary, "mean").eval()
        subject = Subject(model, model, objective)
        for measure in (pseudo, causal):
            value = measure.value(subject)
            assert (value is not None) == (measure is expected)
            # Random weights: each of the tokens is about as likely as any.
            assert value is None or 50 < value < 1000
        assert 0.0 <= accepted.value(subject) <= 1.0
    detection = find("rts").objective.build(model.encoder, model.tokenizer.vocabulary, "mean").eval()
    for measure in (pseudo, causal, accepted):
        assert measure.value(Subject(model, model, detection)) is None
        assert measure.value(Subject(model, model)) is None, "nothing was trained"
