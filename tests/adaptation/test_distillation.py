"""DistillationTargets that a corpus of unusual shape gives."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

from reknit.adaptation.distillation import make_distillation_targets
from reknit.data.text.corpus import Corpus
from reknit.data.text.documents import Document, ReadReport
from reknit.data.text.holdout import hold_out
from reknit.data.text.passage_store import PassageStore
from reknit.errors import ReknitError
from reknit.sources.distillation_targets import DistillationTargets
from reknit.sources.queries import TeacherSpec

WORDS = ["amber", "birch", "cedar", "dune", "ember", "fjord", "grove", "heath", "inlet", "juniper"]


def encode(texts: list[str], kind: str) -> np.ndarray:
    """Counts of words, so that texts with the same words are near."""
    return np.array([[1.0 + text.lower().count(word) for word in WORDS] for text in texts], dtype=np.float32)


def corpus(folder: Path, documents: list[Document]) -> Corpus:
    store = PassageStore.build(documents, folder / "passages.arrow", max_words=20)
    return Corpus(store, ReadReport(), hold_out(store, seed=0))


def sentences(count: int) -> str:
    chance = random.Random(count)
    return " ".join(" ".join(chance.choices(WORDS, k=9)).capitalize() + "." for _ in range(count))


def test_the_title_of_the_only_document_is_no_lesson(tmp_path: Path) -> None:
    book = corpus(tmp_path, [Document("book", "Amber and birch", sentences(120))])
    make_distillation_targets(tmp_path / "lessons", book, [encode], TeacherSpec(), seconds=None, seed=0)
    lessons = DistillationTargets.open(tmp_path / "lessons")
    assert lessons.facts["titles"] == 0
    assert len(lessons) > 60
    assert np.isfinite(lessons.probabilities).all()
    np.testing.assert_allclose(np.asarray(lessons.probabilities).sum(axis=1), 1.0, atol=1e-3)


def test_of_several_documents_titles_are_lessons(tmp_path: Path) -> None:
    halves = [Document(str(n), f"{word} and birch", sentences(60 + n)) for n, word in enumerate(("Amber", "Cedar"))]
    books = corpus(tmp_path, halves)
    make_distillation_targets(tmp_path / "lessons", books, [encode], TeacherSpec(), seconds=None, seed=0)
    lessons = DistillationTargets.open(tmp_path / "lessons")
    assert lessons.facts["titles"] == 2
    assert np.isfinite(lessons.probabilities).all()


def test_a_corpus_that_asks_for_nothing_is_told_in_one_line(tmp_path: Path) -> None:
    lists = corpus(
        tmp_path,
        [Document(str(n), "", "\n".join(f"{one} {n} {k}" for k, one in enumerate(WORDS * 3))) for n in range(20)],
    )
    with pytest.raises(ReknitError, match="no passage contains a sentence"):
        make_distillation_targets(tmp_path / "lessons", lists, [encode], TeacherSpec(), seconds=None, seed=0)
